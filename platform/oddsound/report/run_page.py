"""A search run as one page that needs nothing else: no server, no network, no script."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from oddsound.report.again import how_section
from oddsound.report.blocks import Place
from oddsound.report.html import Child, Html, element, page
from oddsound.report.machine_section import machine_section
from oddsound.report.overview import environment_section, machines_table, table1_section
from oddsound.report.run_folder import MachineRun, read_machines
from oddsound.report.sorting import SCRIPT
from oddsound.report.style import PAGE, RUN
from oddsound.report.svg import drawing
from oddsound.report.systems import pinned_of, read_systems
from oddsound.report.systems_section import systems_section
from oddsound.search.driver import read_driver
from oddsound.search.record import RunRecord
from oddsound.training.bundle import write_atomically

Told = Callable[[str], None]
"""Is told what comes next, in a word or two."""
REPORT = "report.html"
_PARTS = (
    ("machines", "Machine types"),
    ("systems", "The systems S1–S4"),
    ("table1", "Table 1"),
)
_LAST = (("environment", "Environment"), ("again", "How to make it again"))


@dataclass(frozen=True)
class Asked:
    """`machines`: which, in this order; `command`: what began the search; `audio`: put recordings in."""

    machines: Sequence[str]
    command: str = ""
    audio: bool = True


def write_report(run: Path, record: RunRecord, asked: Asked, path: Path, told: Told = lambda _: None) -> int:
    """The report of the run's folder at `path`, whole or as it was; its size in bytes.

    The same run gives the same bytes. Raises OSError where it can't be written.
    """
    content = run_page(run, record, asked, told).encode()
    write_atomically(path, content)
    return len(content)


def run_page(run: Path, record: RunRecord, asked: Asked, told: Told = lambda _: None) -> str:
    """What is lacking is said where it would stand; only a run.json that is none is refused, by whoever
    reads it."""
    machines = read_machines(run, record, asked.machines)
    places = [Place(number, record.clips(run), asked.audio) for number in range(len(machines))]
    with drawing():
        told("systems")
        systems = read_systems(run, machines, pinned_of(record))
        whole = [systems_section(systems, machines), table1_section(machines, systems)]
        sections = []
        for of, place in zip(machines, places, strict=True):
            told(of.machine)
            sections.append(machine_section(of, place))
    name = run.resolve().name
    title = f"Report of {name}"
    return page(
        title,
        PAGE + RUN,
        element("h1", title),
        _summary(run, record, machines),
        _contents(machines, places),
        element(
            "section",
            element("h2", "Machine types", id="machines"),
            machines_table(machines, [place.id("top") for place in places]),
        ),
        whole,
        sections,
        environment_section(run, record, machines, asked.command),
        how_section(_command(name, record, asked), name, asked.machines),
        script=SCRIPT,
    )


def _summary(run: Path, record: RunRecord, machines: Sequence[MachineRun]) -> Html:
    done, wanted = sum(len(of.done) for of in machines), sum(of.wanted for of in machines)
    lines: list[Child] = [
        f"Search {record.search} on the recordings {record.dataset}: {done} finished trials of {wanted} "
        f"wanted, {len(machines)} machine type{'s' if len(machines) != 1 else ''}.",
        "Ω is the harmonic mean of the AUC and pAUC of all sections and domains, of the labelled test clips "
        "by which trials were chosen: on other clips expect less.",
    ]
    driver = read_driver(run)
    if driver is not None and driver.is_alive and driver.running:
        lines.append("The search was still running when this page was made.")
    elif any(of.missing for of in machines):
        again = element("code", f"oddsound search --resume {shlex.quote(run.resolve().name)}")
        lines.append(
            ["The search isn't over: ", again, ", in the folder that holds the run, goes on with it."]
        )
    return element("ul", [element("li", line) for line in lines])


def _contents(machines: Sequence[MachineRun], places: Sequence[Place]) -> Html:
    links = [
        *_PARTS,
        *((place.id("top"), of.machine) for of, place in zip(machines, places, strict=True)),
        *_LAST,
    ]
    entries = [element("li", element("a", title, href=f"#{target}")) for target, title in links]
    return element("nav", element("ul", entries), aria_label="Contents")


def _command(name: str, record: RunRecord, asked: Asked) -> str:
    words = [f"oddsound report {shlex.quote(name)}"]
    if list(asked.machines) != list(record.machines):
        words.append(f"--machines {shlex.quote(','.join(asked.machines))}")
    return " ".join([*words, *([] if asked.audio else ["--no-audio"])])
