"""What a trial is given of a cluster: CPUs, a GPU or a part of one, memory.

A request that no node can ever satisfy is refused: Ray would let it wait for ever. What isn't said is
measured: a trial gets the smallest part of a GPU that its memory fits into, with a margin.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray
import torch

from oddsound.config import TrialConfig
from oddsound.errors import ConfigError, OddsoundError, SearchError
from oddsound.training.data import MachineData
from oddsound.training.footprint import Footprint, Workload, measure_footprint

AUTO = "auto"
"""`memory_per_trial`: to be measured."""
MARGIN = 0.2
"""Other trials of a search may need more than the one that was measured."""
MOST_PER_GPU = 4
"""They share its time too."""
_PRECISION = 10_000
"""Ray counts resources in ten-thousandths."""
_GIB = 1 << 30
_STEP_BYTES = 64 << 20


@dataclass(frozen=True)
class Resources:
    """What one trial takes, and how many run at once (0: as many as fit).

    `gpus_per_trial` None: where the cluster has any, as large a part of one as the measured memory needs.
    `memory_per_trial`: bytes; None: not looked at; `AUTO`: as measured.
    """

    cpus_per_trial: float = 1.0
    gpus_per_trial: float | None = None
    memory_per_trial: int | str | None = None
    max_concurrent: int = 0


@dataclass(frozen=True)
class Node:
    """What a node has; `memory` in bytes. `is_up` False: an autoscaler could add one."""

    cpus: float
    gpus: float
    memory: float
    is_up: bool = True


@dataclass(frozen=True)
class Measured:
    """A trial's footprint, and the memory of the GPU that it was measured on, 0 without one."""

    footprint: Footprint
    gpu_memory: int


def node_types() -> list[Node]:
    """The nodes that are up, and one of each kind that the cluster says it could add."""
    up = [_node(node["Resources"]) for node in ray.nodes() if node["Alive"]]
    return up + [replace(_node(group), is_up=False) for group in _groups()]


def refuse_here(resources: Resources) -> None:
    """Raises ConfigError where a trial wants more CPUs or GPUs than this machine has."""
    here = Node(float(os.cpu_count() or 1), float(torch.cuda.device_count()), 0.0)
    fitting(replace(resources, memory_per_trial=None), [here])


def fitting(resources: Resources, nodes: Sequence[Node]) -> dict[str, float]:
    """CPUs, GPUs and, where it is asked for, memory of a trial, as Ray is asked for them.

    What is to be measured and isn't yet: a whole GPU where there are any, and no memory. Raises
    ConfigError where no node has that, now or ever.
    """
    request = {"cpu": resources.cpus_per_trial, "gpu": _gpus(resources, nodes)}
    if isinstance(resources.memory_per_trial, int):
        request["memory"] = float(resources.memory_per_trial)
    if request["gpu"] > 1 and request["gpu"] % 1:
        raise ConfigError(f"a trial wants {request['gpu']:g} GPUs: give a whole number, or a part of one")
    if not any(_fit(request, node) for node in nodes):
        raise ConfigError(_refusal(request, nodes))
    return request


def at_once(request: Mapping[str, float], nodes: Sequence[Node]) -> int:
    """How many trials run at once on the nodes that are up; 1 where such a node has still to be added."""
    return max(1, sum(_fit(request, node) for node in nodes if node.is_up))


def gpu_share(needed_bytes: int, gpu_bytes: int, most: int = MOST_PER_GPU) -> float:
    """The part of a GPU that a trial is given: as many as fit it with `MARGIN`, `most` at most, share it.

    One alone needs no margin. Raises ConfigError where not even that one fits.
    """
    if needed_bytes > gpu_bytes:
        raise ConfigError(
            f"a trial needs {needed_bytes / _GIB:.1f} GiB of GPU memory, a GPU has "
            f"{gpu_bytes / _GIB:.1f} GiB; lower training.batch_size"
        )
    fit = int(gpu_bytes / (needed_bytes * (1 + MARGIN)))
    return math.floor(_PRECISION / min(max(fit, 1), most)) / _PRECISION


def memory_share(host_bytes: int) -> int:
    """The memory that a trial of this peak is given: with `MARGIN`, in steps of 64 MiB."""
    return math.ceil(host_bytes * (1 + MARGIN) / _STEP_BYTES) * _STEP_BYTES


def measured(
    resources: Resources, config: TrialConfig, cache: Path, weights: Path | None = None
) -> Resources:
    """`resources` with what is to be measured filled in, by some steps of a trial of `config` on the cluster.

    Nothing to be measured: no task is run. Raises ConfigError where such a trial fits nowhere.
    """
    request = fitting(resources, node_types())
    part_of_gpu = resources.gpus_per_trial is None and request["gpu"] > 0
    if part_of_gpu or resources.memory_per_trial == AUTO:
        return with_measured(resources, measure(config, cache, request, weights))
    return replace(resources, gpus_per_trial=request["gpu"])


def with_measured(resources: Resources, found: Measured) -> Resources:
    """`resources` with what is to be measured filled in."""
    gpus, memory = resources.gpus_per_trial, resources.memory_per_trial
    if gpus is None:
        gpus = gpu_share(found.footprint.gpu_bytes, found.gpu_memory) if found.gpu_memory else 0.0
    if memory == AUTO:
        memory = memory_share(found.footprint.host_bytes)
    return replace(resources, gpus_per_trial=gpus, memory_per_trial=memory)


def measure(
    config: TrialConfig,
    data: MachineData | Path,
    request: Mapping[str, float],
    weights: Path | None = None,
    work: Workload | None = None,
) -> Measured:
    """A trial's first steps in a Ray worker that is given `request`. On CPUs a second measurement may be
    in the same worker, and begins with what the first has left: its peak is no less than its own.

    `data`: features that are sent there, or a cache that every node sees. Raises what the trial raises
    where that is ours, otherwise SearchError.
    """
    options: dict[str, Any] = {"num_cpus": request["cpu"], "num_gpus": request["gpu"], "max_retries": 0}
    if "memory" in request:
        options["memory"] = request["memory"]
    task = ray.remote(**options)(_measure_here)
    try:
        found: Measured = ray.get(task.remote(config.model_dump(), data, request["cpu"], weights, work))
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, OddsoundError):
            raise error.cause from None
        raise _unmeasurable(config, error.cause or error) from error
    except ray.exceptions.RayError as error:
        raise _unmeasurable(config, error) from error
    return found


def _measure_here(
    settings: dict[str, Any],
    data: MachineData | Path,
    cpus: float,
    weights: Path | None,
    work: Workload | None,
) -> Measured:
    """What runs in the Ray worker."""
    torch.set_num_threads(max(1, int(cpus)))
    opened = MachineData.open(data) if isinstance(data, Path) else data
    footprint = measure_footprint(TrialConfig.model_validate(settings), opened, weights, work=work)
    has_gpu = torch.cuda.is_available()
    return Measured(footprint, torch.cuda.get_device_properties(0).total_memory if has_gpu else 0)


def _unmeasurable(config: TrialConfig, error: BaseException) -> OddsoundError:
    if isinstance(error, torch.OutOfMemoryError):
        return ConfigError(f"{config.machine}: a trial doesn't fit a GPU's memory; lower training.batch_size")
    reason = (str(error).strip().splitlines() or [""])[0]
    return SearchError(f"{config.machine}: a trial can't be measured: {type(error).__name__}: {reason}")


def _gpus(resources: Resources, nodes: Sequence[Node]) -> float:
    if resources.gpus_per_trial is not None:
        return resources.gpus_per_trial
    return 1.0 if any(node.gpus for node in nodes) else 0.0


def _fit(request: Mapping[str, float], node: Node) -> int:
    """How many trials fit on a node. Those that share GPUs are packed GPU by GPU."""
    gpu = request["gpu"]
    shared = 0 < gpu < 1
    wanted = (
        (node.cpus, request["cpu"]),
        (node.memory, request.get("memory", 0.0)),
        (1.0 if shared else node.gpus, gpu),
    )
    counts = [math.floor(has / each + 1e-9) for has, each in wanted if each]
    if shared:
        counts[-1] *= int(node.gpus)
    return min(counts, default=1)


def _refusal(request: Mapping[str, float], nodes: Sequence[Node]) -> str:
    with_memory = "memory" in request
    wants = _amounts(request["cpu"], request["gpu"], request.get("memory") if with_memory else None)
    has = (_amounts(node.cpus, node.gpus, node.memory if with_memory else None) for node in nodes)
    return (
        f"a trial wants {wants}, no node has {'all of it' if with_memory else 'both'}: "
        f"{'; '.join(dict.fromkeys(has)) or 'there is none'}; ask for less, or start such a node first"
    )


def _amounts(cpus: float, gpus: float, memory: float | None) -> str:
    if memory is None:
        return f"{cpus:g} CPUs and {gpus:g} GPUs"
    return f"{cpus:g} CPUs, {gpus:g} GPUs and {memory / _GIB:.1f} GiB"


def _node(has: Mapping[str, float]) -> Node:
    cpus, gpus, memory = (float(has.get(name, 0)) for name in ("CPU", "GPU", "memory"))
    return Node(cpus, gpus, memory)


def _groups() -> list[dict[str, float]]:
    """The resources of the kinds of node that an autoscaler has told Ray it could add; most tell nothing."""
    try:
        from ray._private.state import state

        config = state.get_cluster_config()
        groups = [] if config is None else config.node_group_configs
        return [dict(group.resources) for group in groups if group.max_count]
    except Exception:  # Ray's own business, without a promise; not to know is no error
        return []
