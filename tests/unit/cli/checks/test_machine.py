"""What `oddsound doctor` finds of a machine: a container's limits, memory, GPUs."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from oddsound.cli.checks import machine
from oddsound.cli.checks.cgroups import Limits, cgroup_limits

MEMINFO = "MemTotal:       16777216 kB\nMemFree:         1000000 kB\nMemAvailable:   12582912 kB\n"
GIB = 1 << 30


def files(root: Path, contents: dict[str, str]) -> Path:
    for name, text in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_limits_of_version_2_are_the_tightest_on_the_way_out(tmp_path: Path) -> None:
    root = files(
        tmp_path,
        {
            "proc/self/cgroup": "0::/pod/box\n",
            "sys/fs/cgroup/pod/cpu.max": "150000 100000\n",
            "sys/fs/cgroup/pod/box/cpu.max": "max 100000\n",
            "sys/fs/cgroup/pod/box/memory.max": "1000\n",
            "sys/fs/cgroup/pod/box/memory.current": "700\n",
            "sys/fs/cgroup/pod/box/memory.stat": "anon 500\ninactive_file 200\n",
            "sys/fs/cgroup/pod/memory.max": "max\n",
        },
    )
    assert cgroup_limits(root) == Limits(1.5, 1000, 500)


def test_limits_of_version_1(tmp_path: Path) -> None:
    root = files(
        tmp_path,
        {
            "proc/self/cgroup": "4:memory:/box\n3:cpu,cpuacct:/box\n0::/\n",
            "sys/fs/cgroup/cpu/box/cpu.cfs_quota_us": "200000",
            "sys/fs/cgroup/cpu/box/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
            "sys/fs/cgroup/memory/box/memory.limit_in_bytes": "4096",
            "sys/fs/cgroup/memory/box/memory.usage_in_bytes": "1024",
        },
    )
    assert cgroup_limits(root) == Limits(2.0, 4096, 3072)


def test_no_limits_where_there_are_none(tmp_path: Path) -> None:
    assert cgroup_limits(tmp_path) == Limits()
    files(tmp_path, {"proc/self/cgroup": "0::/elsewhere\n", "sys/fs/cgroup/cpu.max": "max 100000"})
    assert cgroup_limits(tmp_path) == Limits()


def test_a_quota_below_the_machines_cpus_is_a_warning() -> None:
    (found,) = machine.cpus(Limits(cpus=0.5))
    assert (found.state, found.remedy) == ("warning", "search with --max-concurrent 1")
    assert found.said.startswith("0.5 of ")
    assert found.facts["cgroup_cpus"] == 0.5


@pytest.mark.parametrize(
    ("limits", "state", "said"),
    [
        (Limits(), "ok", "12.0 GiB free of the machine's 16.0 GiB"),
        (Limits(None, 8 * GIB, 7 * GIB), "ok", "7.0 GiB free of the container's 8.0 GiB"),
        (Limits(None, 8 * GIB, 3 * GIB), "warning", "3.0 GiB free of the container's 8.0 GiB; a trial of"),
        (Limits(None, 99 * GIB, 9 * GIB), "ok", "12.0 GiB free of the machine's 16.0 GiB"),
    ],
)
def test_memory_is_the_containers_where_that_is_less(
    limits: Limits, state: str, said: str, tmp_path: Path
) -> None:
    (found,) = machine.memory(limits, files(tmp_path, {"meminfo": MEMINFO}) / "meminfo")
    assert found.state == state
    assert found.said.startswith(said)


def smi(folder: Path, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An nvidia-smi that is first on the PATH, and a torch that is told of no GPU."""
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{says}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def test_gpus_that_torch_cannot_see_are_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    smi(tmp_path, "echo 450.80.02; echo 450.80.02", monkeypatch)
    (found,) = machine.gpus()
    assert found.state == "failure"
    assert "sees none of the machine's 2 GPUs, driver 450.80.02" in found.said
    assert "CUDA_VISIBLE_DEVICES" in found.remedy


def test_no_gpu_is_fine_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    smi(tmp_path, "echo 'has failed because it could not communicate' >&2; exit 9", monkeypatch)
    (found,) = machine.gpus()
    assert found.state == "ok"
    assert "no GPU" in found.said
    assert found.facts["gpus"] == 0


@pytest.mark.parametrize(("major", "state"), [(9, "ok"), (5, "failure")])
def test_a_gpu_that_torch_has_no_code_for_is_a_failure(major: int, state: str) -> None:
    has = SimpleNamespace(major=major, minor=0, name="H100", total_memory=80 * GIB)
    cuda = SimpleNamespace(
        get_device_properties=lambda place: has, get_arch_list=lambda: ["sm_75", "sm_90a", "compute_120"]
    )
    found = machine._gpu(SimpleNamespace(cuda=cuda), 0)
    assert found.state == state
    assert found.said.startswith("H100, 80.0 GiB")
