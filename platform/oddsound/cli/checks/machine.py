"""CPUs, memory and GPUs, as a search on this machine would find them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from oddsound.cli.checks._base import GIB, Finding, failure, gib, ok, warning
from oddsound.cli.checks.cgroups import Limits, cgroup_limits

TRIAL_BYTES = int(4.3e9)
"""Peak of a step of EfficientNet-B0 with batches of 32 (docs/decisions.md)."""
RAY_BYTES = 2 * GIB
"""What is to be left to Ray (docs/operations.md)."""
_SMI_S = 5
_DRIVER = re.compile(r"Kernel Module\s+(?:for \S+\s+)?([\d.]+)")


def cpus(limits: Limits | None = None) -> Iterator[Finding]:
    """Ray counts the machine's CPUs; what a container or an affinity allows can be less."""
    limits = limits or cgroup_limits()
    count, allowed = os.cpu_count() or 1, _affinity()
    least = min(allowed, limits.cpus or allowed)
    facts: dict[str, Any] = {"cpus": count, "affinity": allowed, "cgroup_cpus": limits.cpus}
    if least < count:
        remedy = f"search with --max-concurrent {max(1, int(least))}"
        yield warning("CPUs", f"{least:g} of {count} may be used, Ray counts {count}", remedy, **facts)
    else:
        yield ok("CPUs", f"{count}", **facts)


def memory(limits: Limits | None = None, meminfo: Path = Path("/proc/meminfo")) -> Iterator[Finding]:
    limits = limits or cgroup_limits()
    has = dict(re.findall(r"^(\w+):\s+(\d+) kB", meminfo.read_text(), re.MULTILINE))
    total, left = (int(has[name]) << 10 for name in ("MemTotal", "MemAvailable"))
    of = "the machine's"
    if limits.memory is not None and limits.memory < total:
        total, left, of = limits.memory, min(left, limits.memory_left or 0), "the container's"
    said = f"{gib(left)} free of {of} {gib(total)}"
    facts: dict[str, Any] = {"total_bytes": total, "free_bytes": left, "cgroup_bytes": limits.memory}
    if left < TRIAL_BYTES + RAY_BYTES:
        remedy = "give --config smoke or a smaller training.batch_size, or free some"
        needed = f"a trial of the paper's network takes {gib(TRIAL_BYTES)}, Ray {gib(RAY_BYTES)}"
        yield warning("memory", f"{said}; {needed}", remedy, **facts)
    else:
        yield ok("memory", said, **facts)


def gpus() -> Iterator[Finding]:
    """torch's build, and each GPU that it can use; none is fine, and said."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        import torch

        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    built = f"CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"
    driver, seen = _driver()
    facts: dict[str, Any] = {"torch": torch.__version__, "cuda": torch.version.cuda, "gpus": count}
    facts["driver"] = driver or None
    if count:
        yield ok("torch", f"{torch.__version__}, {built}, driver {driver or 'not known'}", **facts)
        yield from (_gpu(torch, place) for place in range(count))
    elif seen:
        why = next((str(w.message).splitlines()[0] for w in said if "CUDA" in str(w.message)), "")
        yield failure(
            "torch",
            f"{torch.__version__}, {built}, sees none of the machine's {seen} GPUs, driver {driver}"
            + (f" ({why})" if why else ""),
            "unset CUDA_VISIBLE_DEVICES, or install a newer driver or a torch for this one",
            **facts,
        )
    else:
        yield ok("torch", f"{torch.__version__}, {built}; no GPU, a trial gets one core", **facts)


def _gpu(torch: Any, place: int) -> Finding:
    has = torch.cuda.get_device_properties(place)
    code, about = f"sm_{has.major}{has.minor}", f"GPU {place}"
    facts: dict[str, Any] = {"name": has.name, "memory_bytes": has.total_memory, "compute": code}
    said = f"{has.name}, {gib(has.total_memory)}"
    known = [int(arch.rpartition("_")[2].rstrip("af")) for arch in torch.cuda.get_arch_list()]
    if known and 10 * has.major + has.minor < min(known):
        remedy = "hide it with CUDA_VISIBLE_DEVICES, or install a torch that still has it"
        return failure(about, f"{said}: this torch has no code for {code}", remedy, **facts)
    return ok(about, said, **facts)


def _driver() -> tuple[str, int]:
    """The driver's version, "" where there is none, and how many GPUs it shows."""
    smi = shutil.which("nvidia-smi")
    if smi:
        asked = [smi, "--query-gpu=driver_version", "--format=csv,noheader"]
        try:
            said = subprocess.run(asked, capture_output=True, text=True, timeout=_SMI_S, check=True).stdout
        except (OSError, subprocess.SubprocessError):
            said = ""
        if lines := said.split():
            return lines[0], len(lines)
    try:
        found = _DRIVER.search(Path("/proc/driver/nvidia/version").read_text())
    except OSError:
        return "", 0
    return (found[1] if found else "", len(list(Path("/proc/driver/nvidia/gpus").glob("*"))))


def _affinity() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
