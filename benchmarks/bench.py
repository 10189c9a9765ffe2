"""Every benchmark of speed, one after the other, written to docs/results/bench.md.

    make bench                                      # all of it: about an hour and a half on two cores
    python -m benchmarks.bench --only features      # one part; the others' sections stay as they are
    python -m benchmarks.bench --quick --out x.md   # small sizes, to see that all of it runs

Each part is a module of its own with sizes of its own (`python -m benchmarks.features --help`); what it
prints becomes its section. Leave the machine to it: two cores that others use too give ratios, not rates.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch
from benchmarks.measure import say

OUT = Path("docs/results/bench.md")
PARTS = {
    "features": ["benchmarks.features"],
    "opening": ["benchmarks.opening"],
    "training": ["benchmarks.training"],
    "accuracy": ["benchmarks.training", "--accuracy"],
    "packing": ["benchmarks.packing"],
    "alone": ["benchmarks.alone"],
    "scoring": ["benchmarks.scoring"],
    "whole_search": ["benchmarks.whole_search"],
    "growth": ["benchmarks.growth"],
}
QUICK = {
    "features": ["--clips", "60", "--rounds", "1"],
    "opening": ["--clips", "60", "--rounds", "1", "--processes", "1", "2"],
    "training": ["--rounds", "1", "--batches", "1", "--width", "0.25"],
    "accuracy": ["--rounds", "1"],
    "packing": ["--rounds", "1", "--seconds", "2", "--width", "0.25"],
    "alone": ["--clips", "16", "--rounds", "1", "--width", "0.25"],
    "scoring": ["--clips", "16", "--rounds", "1", "--width", "0.25"],
    "whole_search": ["--rounds", "1", "--epochs", "1", "--trials", "1"],
    "growth": ["--rounds", "1", "--recordings", "8", "--clips", "8", "--trials", "40", "--tables", "8"],
}
PACKAGES = ("torch", "torchaudio", "timm", "ray", "optuna", "mlflow", "numpy", "scipy", "librosa")
_SECTION = re.compile(r"<!-- (\w+) -->\n(.*?)(?=<!-- \w+ -->|\Z)", re.DOTALL)


def machine() -> str:
    """One line: processor, cores, memory, GPU."""
    names = re.findall(r"model name\s*: (.*)", _read("/proc/cpuinfo")) or [platform.processor()]
    memory = re.findall(r"MemTotal:\s*(\d+) kB", _read("/proc/meminfo")) or ["0"]
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return f"{names[0]}, {os.cpu_count()} cores, {int(memory[0]) / 2**20:.0f} GiB, {gpu}"


def _read(path: str) -> str:
    file = Path(path)
    return file.read_text() if file.is_file() else ""


def versions() -> str:
    return ", ".join(
        [f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in PACKAGES)]
    )


def run(name: str, *, quick: bool) -> str | None:
    """The part's section; None where it failed, which it has said itself."""
    command = [sys.executable, "-m", *PARTS[name], *(QUICK[name] if quick else ())]
    say(f"--- {name}: {' '.join(command[1:])}")
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        say(f"--- {name} failed with {done.returncode}")
        return None
    shown = f"python {' '.join(command[1:])}"
    stamp = f"{datetime.now(UTC):%Y-%m-%d}; {machine()}"
    return f"{done.stdout.strip()}\n\n`{shown}`, {stamp}.\n\n"


def written(sections: Mapping[str, str]) -> str:
    head = (
        "# How fast it is\n\n"
        "Written by `make bench`: each claim against its baseline, measured in turns in one run; medians "
        f"(lowest to highest). {versions()}.\n\n"
    )
    return head + "".join(f"<!-- {name} -->\n{sections[name]}" for name in PARTS if name in sections)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=PARTS, nargs="+", default=list(PARTS))
    parser.add_argument("--quick", action="store_true", help="small sizes: the figures mean nothing")
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args()
    if given.quick and given.out == OUT:
        parser.error(f"--quick: give another --out than {OUT}, whose figures are to be believed")
    failed = []
    for name in given.only:
        if (section := run(name, quick=given.quick)) is None:
            failed.append(name)
            continue
        sections = dict(_SECTION.findall(given.out.read_text() if given.out.is_file() else ""))
        given.out.write_text(written(sections | {name: section}))
    if failed:
        sys.exit(f"failed: {', '.join(failed)}; the other sections are in {given.out}")


if __name__ == "__main__":
    main()
