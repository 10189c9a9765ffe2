"""What a trial is given: requests that fit, that never will, and shares by measured memory."""

from typing import Any

import pytest
import ray
from ray.core.generated.autoscaler_pb2 import ClusterConfig, NodeGroupConfig

from oddsound.errors import ConfigError
from oddsound.search import resources as module
from oddsound.search.resources import (
    AUTO,
    Measured,
    Node,
    Resources,
    at_once,
    fitting,
    gpu_share,
    memory_share,
    node_types,
    with_measured,
)
from oddsound.training.footprint import Footprint, Workload

GIB = 1 << 30
LAPTOP = Node(2, 0, 8 * GIB)
SERVER = Node(16, 4, 128 * GIB)
HEAD = Node(0, 0, 4 * GIB)


@pytest.mark.parametrize(
    ("asked", "nodes", "request_"),
    [
        (Resources(), [LAPTOP], {"cpu": 1, "gpu": 0}),
        (Resources(), [LAPTOP, SERVER], {"cpu": 1, "gpu": 1}),
        (Resources(2, 0.25), [SERVER], {"cpu": 2, "gpu": 0.25}),
        (Resources(memory_per_trial=GIB), [LAPTOP], {"cpu": 1, "gpu": 0, "memory": GIB}),
        (Resources(memory_per_trial=AUTO), [LAPTOP], {"cpu": 1, "gpu": 0}),
        (Resources(gpus_per_trial=4), [SERVER], {"cpu": 1, "gpu": 4}),
    ],
)
def test_what_ray_is_asked_for(asked: Resources, nodes: list[Node], request_: dict[str, float]) -> None:
    assert fitting(asked, nodes) == request_


@pytest.mark.parametrize(
    ("asked", "nodes", "message"),
    [
        (
            Resources(64),
            [LAPTOP, LAPTOP],
            "a trial wants 64 CPUs and 0 GPUs, no node has both: 2 CPUs and 0 GPUs; ask",
        ),
        (
            Resources(3),
            [LAPTOP, Node(1, 1, GIB)],
            "wants 3 CPUs and 1 GPUs, no node has both: 2 CPUs and 0 GPUs; 1 CPUs",
        ),
        (Resources(gpus_per_trial=0.5), [LAPTOP], r"wants 1 CPUs and 0\.5 GPUs"),
        (
            Resources(memory_per_trial=200 * GIB),
            [SERVER],
            r"1 CPUs, 1 GPUs and 200\.0 GiB, no node has all of it: 16 CPUs, 4 GPUs and 128\.0 GiB",
        ),
        (Resources(gpus_per_trial=1.5), [SERVER], r"1\.5 GPUs: give a whole number, or a part of one"),
        (Resources(gpus_per_trial=8), [SERVER], "wants 1 CPUs and 8 GPUs"),
        (Resources(), [], "there is none"),
    ],
)
def test_what_can_never_be_had_is_refused(asked: Resources, nodes: list[Node], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        fitting(asked, nodes)


def test_a_node_that_could_be_added_will_do() -> None:
    to_come = Node(16, 4, 128 * GIB, is_up=False)
    request = fitting(Resources(gpus_per_trial=1), [HEAD, to_come])
    assert request == {"cpu": 1, "gpu": 1}
    assert at_once(request, [HEAD, to_come]) == 1


@pytest.mark.parametrize(
    ("request_", "nodes", "n"),
    [
        ({"cpu": 1, "gpu": 0}, [LAPTOP], 2),
        ({"cpu": 1, "gpu": 0}, [LAPTOP, SERVER, HEAD], 18),
        ({"cpu": 0.1, "gpu": 0}, [LAPTOP], 20),
        ({"cpu": 1, "gpu": 1}, [LAPTOP, SERVER], 4),
        ({"cpu": 1, "gpu": 0.3333}, [SERVER], 12),
        ({"cpu": 1, "gpu": 0.4}, [SERVER], 8),
        ({"cpu": 4, "gpu": 0.25}, [SERVER], 4),
        ({"cpu": 1, "gpu": 2}, [SERVER], 2),
        ({"cpu": 1, "gpu": 0, "memory": 5 * GIB}, [LAPTOP], 1),
    ],
)
def test_how_many_run_at_once(request_: dict[str, float], nodes: list[Node], n: int) -> None:
    assert at_once(request_, nodes) == n


@pytest.mark.parametrize(
    ("needed", "share"),
    [(79, 1.0), (66, 1.0), (34, 1.0), (33, 0.5), (22, 0.3333), (16, 0.25), (1, 0.25)],
)
def test_the_part_of_a_gpu_of_80_gib(needed: int, share: float) -> None:
    assert gpu_share(needed * GIB, 80 * GIB) == share


def test_more_may_share_a_gpu_where_that_is_wanted() -> None:
    assert gpu_share(GIB, 80 * GIB, most=8) == 0.125
    assert gpu_share(GIB, 80 * GIB, most=7) == 0.1428


def test_not_even_one_fits() -> None:
    with pytest.raises(ConfigError, match=r"needs 81\.0 GiB of GPU memory, a GPU has 80\.0 GiB; lower"):
        gpu_share(81 * GIB, 80 * GIB)


def test_memory_is_given_with_a_margin() -> None:
    assert memory_share(1000 << 20) == 1216 << 20
    assert memory_share(1) == 64 << 20


def found(host_gib: float, gpu_gib: float, gpu_memory_gib: float) -> Measured:
    footprint = Footprint(1, 1, 8, Workload(1, 1, 1), int(host_gib * GIB), int(gpu_gib * GIB))
    return Measured(footprint, int(gpu_memory_gib * GIB))


def test_only_what_is_to_be_measured_is_filled_in() -> None:
    assert with_measured(Resources(), found(1, 10, 80)) == Resources(gpus_per_trial=0.25)
    assert with_measured(Resources(), found(1, 0, 0)) == Resources(gpus_per_trial=0.0)
    both = with_measured(Resources(gpus_per_trial=0.5, memory_per_trial=AUTO), found(2.5, 10, 80))
    assert both == Resources(gpus_per_trial=0.5, memory_per_trial=3 * GIB)


def test_what_the_cluster_could_add_is_known_where_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = [
        NodeGroupConfig(name="gpu", resources={"CPU": 16, "GPU": 4, "memory": 128 * GIB}, max_count=-1),
        NodeGroupConfig(name="none", resources={"CPU": 99}, max_count=0),
    ]
    dead = {"Alive": False, "Resources": {"CPU": 99}}
    alive = {"Alive": True, "Resources": {"CPU": 2.0, "memory": 8.0 * GIB, "node:x": 1.0}}
    monkeypatch.setattr(ray, "nodes", lambda: [dead, alive])
    monkeypatch.setattr(
        "ray._private.state.state.get_cluster_config", lambda: ClusterConfig(node_group_configs=groups)
    )
    assert node_types() == [LAPTOP, Node(16, 4, 128 * GIB, is_up=False)]

    def gone(*_: Any) -> None:
        raise AttributeError("another Ray")

    monkeypatch.setattr("ray._private.state.state.get_cluster_config", gone)
    assert node_types() == [LAPTOP]
    assert module._groups() == []
