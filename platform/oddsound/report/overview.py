"""The parts of a report that are of the whole run: its machine types, Table 1, its environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from oddsound.errors import ScoreError
from oddsound.report.again import link
from oddsound.report.blocks import Cell, count, facts, lacking, percent, table
from oddsound.report.formats import SELECTIONS
from oddsound.report.html import Child, Html, element
from oddsound.report.measured import table1_of
from oddsound.report.page import legend, section
from oddsound.report.paper_figures import MACHINES as PAPER_MACHINES
from oddsound.report.paper_figures import PAPER
from oddsound.report.run_folder import MachineRun, set_aside
from oddsound.report.systems import Systems
from oddsound.report.table1 import Epoch, Table1
from oddsound.search.record import RunRecord


def machines_table(machines: Sequence[MachineRun], places: Sequence[str]) -> Html:
    """places: the id of each one's section."""
    heads = ["machine type", "finished", "wanted", "stopped", "failed", "unfinished", "damaged"]
    heads += ["best Ω [%]", "paper S1", "best trial"]
    rows = [
        [
            Cell(element("a", of.machine, href=f"#{place}"), is_number=False),
            count(len(of.done)),
            count(of.wanted),
            *(count(len(of.of(state))) for state in ("stopped", "failed", "unfinished", "damaged")),
            Cell(
                percent(best.omega) if (best := of.best) else "–", best.omega if best else None, kind="ours"
            ),
            _paper(of.machine),
            Cell(element("code", best.identity) if best else "–", is_number=False),
        ]
        for of, place in zip(machines, places, strict=True)
    ]
    return table("Trials of each machine type, and the best one's Ω.", heads, rows, "Machine types")


def table1_section(machines: Sequence[MachineRun], systems: Systems) -> Html:
    """A choice of the epoch that nothing of ours has is left out, and all where the paper has nothing."""
    heading = element("h2", "Table 1, the paper's figures beside ours", id="table1")
    if not any(of.machine in PAPER_MACHINES for of in machines):
        return element("section", heading, lacking(["The paper's Table 1 has none of these machine types."]))
    try:
        found = table1_of(machines, systems)
    except ScoreError as error:
        return element("section", heading, lacking([str(error)]))
    parts = [section(found, epoch, how, "h3") for epoch, how in SELECTIONS if _has_ours(found, epoch)]
    note = "Nothing of ours is in it yet: the paper's figures alone."
    return element(
        "section",
        heading,
        parts or [lacking([note]), section(found, *SELECTIONS[0], "h3")],
        element(
            "p",
            "The paper's are of the development recordings of DCASE 2021: beside a run on others they say "
            "nothing.",
        ),
        element("p", legend(found), " ", link("table1")),
    )


def environment_section(run: Path, record: RunRecord, machines: Sequence[MachineRun], command: str) -> Html:
    code = ", ".join(f"{name} {version}" for name, version in sorted(record.code.items()))
    rows: list[tuple[str, Child]] = [
        ("search", record.search),
        ("recordings", f"{record.dataset}, {record.data}"),
        ("code now", code or "not recorded"),
        ("sources", "the digest of the files that decide an outcome; a git commit is not recorded"),
        ("made by", [element("div", each) for each in _versions(machines)] or "no finished trial"),
        (
            "hosts",
            ", ".join(sorted({h for of in machines for t in of.trials for h in t.hosts})) or "not recorded",
        ),
        ("devices", _devices(machines)),
        ("MLflow", record.tracking_uri or "the run's own store, RUN/mlflow"),
    ]
    rows += [(f"changed {change.get('when')}", _what(change.get("what"))) for change in record.changes]
    away = set_aside(run)
    rows += [("set aside as damaged", [element("div", each) for each in away])] if away else []
    return element(
        "section",
        element("h2", "Environment", id="environment"),
        facts("What the run was made with, as run.json and the trials have it.", rows),
        [
            element("p", "The command that begins such a search anew:"),
            element("pre", element("code", command)),
        ]
        if command
        else lacking(["run.json doesn't say by which command the run was begun."]),
    )


def _what(changes: object) -> str:
    return "; ".join(map(str, changes)) if isinstance(changes, list) else str(changes)


def _paper(machine: str) -> Cell:
    paper = PAPER["S1"].omega.get(machine)
    return Cell("–" if paper is None else f"{paper:.2f}", paper, kind="paper")


def _has_ours(found: Table1, epoch: Epoch) -> bool:
    return any(figure.ours is not None for row in found.rows for figure in row.figures(epoch))


def _versions(machines: Sequence[MachineRun]) -> list[str]:
    """Each set of versions that finished trials were made with, and how many."""
    counts: dict[str, int] = {}
    for of in machines:
        for trial in of.done:
            known: Mapping[str, str] = trial.result.versions if trial.result else {}
            spelt = (
                ", ".join(f"{name} {version}" for name, version in sorted(known.items())) or "not recorded"
            )
            counts[spelt] = counts.get(spelt, 0) + 1
    return [f"{n} trials: {spelt}" for spelt, n in sorted(counts.items())]


def _devices(machines: Sequence[MachineRun]) -> str:
    """By what the best trials' histories measured."""
    peaks: list[float] = []
    for of in machines:
        for trial in [of.best] if of.best else []:
            peaks += trial.gpu_memory_mb()
    if peaks:
        return f"GPU; the best trials took {max(peaks) / 1000:.1f} GB of its memory at most"
    return "CPU" if any(of.best for of in machines) else "not known yet"
