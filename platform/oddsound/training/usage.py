"""What the machine gave: memory and processor, measured for one process."""

from __future__ import annotations

import resource
import sys
import time
from contextlib import suppress
from pathlib import Path

import torch

_MB = 1e6


class Usage:
    """Of this process since the object was made."""

    def __init__(self) -> None:
        forget_peaks()
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def metrics(self) -> dict[str, float]:
        """`peak_memory_mb` in 10^6 bytes, with a GPU `peak_gpu_memory_mb`, and the share of one processor
        that it had: `system/process_cpu_percentage`, where MLflow's page looks for such."""
        wall = max(time.perf_counter() - self._wall, 1e-9)
        found = {
            "peak_memory_mb": host_peak() / _MB,
            "system/process_cpu_percentage": 100 * (time.process_time() - self._cpu) / wall,
        }
        if torch.cuda.is_available():
            found["peak_gpu_memory_mb"] = torch.cuda.max_memory_reserved() / _MB
        return found


def forget_peaks() -> None:
    """From here on the peaks are of what follows."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def host_peak() -> int:
    """The process's highest resident memory in bytes: since `forget_peaks` on Linux, elsewhere since it
    began."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10
