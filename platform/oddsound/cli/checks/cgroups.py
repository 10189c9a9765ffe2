"""What a container may take of its machine: the limits of its control groups, version 1 or 2."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_UNLIMITED = 1 << 60
"""What version 1 has for no limit is a number of this size."""


@dataclass(frozen=True)
class Limits:
    """None: not limited. `memory_left`: bytes of the limit that aren't in use."""

    cpus: float | None = None
    memory: int | None = None
    memory_left: int | None = None


def cgroup_limits(root: Path = Path("/")) -> Limits:
    """The tightest limits of this process's groups and of those around them; `root` is for tests."""
    cpus = [_cpus(folder) for folder in _folders(root, "cpu")]
    memory = [found for folder in _folders(root, "memory") if (found := _memory(folder))]
    limit, left = min(memory, default=(None, None))
    return Limits(min((c for c in cpus if c is not None), default=None), limit, left)


def _folders(root: Path, controller: str) -> Iterator[Path]:
    """The groups' folders, from the innermost out."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        top = root / "sys/fs/cgroup"
        if controller in controllers.split(","):
            top /= controller
        elif controllers:
            continue
        inner = top / path.lstrip("/")
        yield from (folder for folder in (inner, *inner.parents) if folder.is_relative_to(top))


def _cpus(folder: Path) -> float | None:
    quota, period = [*_words(folder / "cpu.max"), "", ""][:2]
    if not quota:
        quota = "".join(_words(folder / "cpu.cfs_quota_us"))
        period = "".join(_words(folder / "cpu.cfs_period_us"))
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None


def _memory(folder: Path) -> tuple[int, int] | None:
    """The limit and what of it is left. Files that the kernel could drop are not in use."""
    for limit_file, used_file, dropped in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        limit, used = ("".join(_words(folder / name)) for name in (limit_file, used_file))
        if limit.isdigit() and int(limit) < _UNLIMITED:
            stat = _words(folder / "memory.stat")
            freed = int(stat[stat.index(dropped) + 1]) if dropped in stat else 0
            return int(limit), int(limit) - max(0, int(used or 0) - freed)
    return None


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []
