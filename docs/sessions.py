"""The terminal sessions of the README and the pages, written by the program itself.

    python docs/sessions.py

runs the commands below in a new folder and writes what each prints between its marks in the pages:

    <!-- session: status -->
    <!-- session: demo 4 12 -->     the first 4 and the last 12 lines, `…` between them
    <!-- /session -->

What differs from machine to machine stands there as it was printed; `masked` is what a test compares.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import unified_diff
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
SHOWN = "/home/me/oddsound"
"""Stands for the folder that the commands ran in."""
CUT = "…"
COMMANDS = {
    "demo": "oddsound demo --machines fan,valve --trials 2",
    "status": "oddsound status demo_run",
    "trials": "oddsound trials demo_run --top 2",
    "check": "oddsound submission check demo_run/submission --data demo_run/synthetic --machines fan,valve",
    "evaluate": "oddsound evaluate demo_run/submission --ground-truth demo_run/synthetic/ground_truth",
    "report": "oddsound report demo_run",
    "synth": "oddsound data synth tiny --seconds 2 --train 8 --test 4 --machines fan,valve",
    "data-check": "oddsound data check tiny",
    "plan": "oddsound plan tiny --trials 2 --epochs 3",
}
"""By name, in the order in which they run."""

_BLOCK = re.compile(
    r"(?P<begin><!-- session: (?P<name>[a-z-]+)(?: (?P<head>\d+) (?P<tail>\d+))? -->\n)"
    r"(?P<shown>.*?)(?P<end><!-- /session -->)",
    re.DOTALL,
)
_BY_CHANCE = re.compile(r"\* |\S+ trial \S+ epoch |features of \S+: \d+ of |GPU memory ")
"""How lines begin that another run may lack."""
_MEMBER = re.compile(r"\S+ 0 0 S0 0")
"""A masked row of the table of members. A machine type has one for each trial that some system uses, and
which trials a fusion takes follows from figures that differ between processors."""


@dataclass(frozen=True)
class Block:
    """A session as a page has it: its lines, and how many of its beginning and end are to be shown."""

    page: Path
    name: str
    lines: list[str]
    head: int | None
    tail: int | None


def blocks() -> Iterator[Block]:
    """Every session that is marked in the README and in the pages."""
    for page in pages():
        for found in _BLOCK.finditer(page.read_text()):
            head, tail = (int(n) if n else None for n in found.group("head", "tail"))
            lines = [line for line in found["shown"].splitlines() if not line.startswith("```")]
            yield Block(page, found["name"], lines, head, tail)


def pages() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def played(folder: Path) -> dict[str, list[str]]:
    """Each command and what it printed in `folder`, stdout and stderr as a terminal shows them, by name.

    Raises RuntimeError where one fails.
    """
    folder = folder.resolve()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    found = {}
    for name, command in COMMANDS.items():
        ended = subprocess.run(
            shlex.split(command), cwd=folder, env=os.environ | {"PATH": path, "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        if ended.returncode:
            raise RuntimeError(f"{command}: exit code {ended.returncode}\n{ended.stdout}")
        printed = ended.stdout.replace(str(folder), SHOWN)
        found[name] = [f"$ {command}", *(line.rstrip() for line in printed.splitlines())]
    return found


def shortened(lines: list[str], head: int | None, tail: int | None) -> list[str]:
    if head is None or tail is None or head + tail >= len(lines):
        return lines
    return [*lines[:head], CUT, *lines[len(lines) - tail :]]


def masked(lines: list[str]) -> list[str]:
    """`lines` without what a machine, a day or a race between trials decides: numbers, hashes, which
    machine type's trial ends first, what is said by the clock of trials that run, the marks of what is
    below S1 and their footnote, how many members a machine type has, and whether there is a GPU."""
    plain = [_plain(line) for line in lines if not _BY_CHANCE.match(line)]
    return [line for before, line in pairwise(["", *plain]) if line != before or not _MEMBER.fullmatch(line)]


def _plain(line: str) -> str:
    line = re.sub(r", about [^)]* left( in all)?", "", line)
    line = re.sub(r"\b(?=[0-9a-f]*\d)[0-9a-f]{8,64}\b", "0", line)
    line = re.sub(r"[+−-]?\d[\d.,]*(e[+-]\d+)?\*?", "0", line)
    line = re.sub(r"^\S+(?= trial \S+ finished: )|(?<=^features of )\S+(?=:)", "MACHINE", line)
    line = re.sub(r"\b(S0 )+S0\b", "S0", line)
    line = re.sub(r"(?<= 0 )workers?\b", "workers", line)
    return re.sub(r"\s+", " ", line).strip()


def agrees(shown: list[str], printed: list[str]) -> bool:
    """Whether what a page shows is what was printed, but for what is masked; `…` stands for any lines."""
    pattern = "".join(r"(?:.*\n)*" if line == CUT else re.escape(line) + r"\n" for line in masked(shown))
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in masked(printed))) is not None


def difference(block: Block, printed: list[str]) -> str:
    """What the page shows against what the program prints, masked."""
    now = shortened(printed, block.head, block.tail)
    lines = unified_diff(masked(block.lines), masked(now), block.page.name, "printed now", lineterm="")
    return "\n".join(
        [f"{block.page.name}, session {block.name}; `make sessions` rewrites the pages:", *lines]
    )


def rewritten(text: str, printed: dict[str, list[str]]) -> str:
    def filled(found: re.Match[str]) -> str:
        head, tail = (int(n) if n else None for n in found.group("head", "tail"))
        lines = shortened(printed[found["name"]], head, tail)
        return "\n".join([found["begin"] + "```console", *lines, "```", found["end"]])

    return _BLOCK.sub(filled, text)


def main() -> None:
    with TemporaryDirectory(prefix="oddsound-") as folder:
        printed = played(Path(folder))
    for page in pages():
        text = rewritten(page.read_text(), printed)
        if text != page.read_text():
            page.write_text(text)
            print(f"{page.relative_to(ROOT)} rewritten")


if __name__ == "__main__":
    main()
