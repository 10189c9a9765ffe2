"""What a version in the registry says of itself, in Markdown. Nothing here talks to a server."""

from __future__ import annotations

from collections.abc import Mapping

from oddsound.config import TrialConfig, flattened

_DISPLACED = "No longer among the best; kept as history."


def described(
    machine: str,
    rank: int,
    omega: float,
    metrics: Mapping[str, float],
    params: Mapping[str, str],
    search: str,
    trial: str,
) -> str:
    """Its place, omega, AUC and pAUC of each section in percent, and how it was configured."""
    head = f"**Place {rank} of `{machine}`: omega {100 * omega:.2f} %**"
    origin = f"Trial `{trial}` of search `{search}`."
    parts = [head, origin, section_table(metrics), configuration(machine, params)]
    return "\n\n".join(part for part in parts if part)


def displaced(description: str) -> str:
    """The description of a version that has lost its place: all but the first line stays true."""
    return "\n".join([_DISPLACED, *description.splitlines()[1:]])


def section_table(metrics: Mapping[str, float]) -> str:
    """A row a section, a column for each of `auc/<section>/source`, `pauc/<section>/target` …; percent."""
    cells = {}
    for name, value in metrics.items():
        measure, *rest = name.split("/")
        if measure in ("auc", "pauc") and rest:
            column = " ".join(["pAUC" if measure == "pauc" else "AUC", *rest[1:]])
            cells[rest[0], column] = f"{100 * value:.2f}"
    columns = sorted({column for _, column in cells})
    rows = [[section, *(cells.get((section, c), "") for c in columns)] for section in _sections(cells)]
    return _table(["section", *columns], rows)


def configuration(machine: str, params: Mapping[str, str]) -> str:
    """The settings that differ from the paper's."""
    usual = {key: str(value) for key, value in flattened(TrialConfig(machine=machine).model_dump()).items()}
    rows = [[f"`{key}`", value] for key, value in sorted(params.items()) if usual.get(key) != value]
    return _table(["setting", "value"], rows) or "Configured as in the paper."


def _sections(cells: Mapping[tuple[str, str], str]) -> list[str]:
    return sorted({section for section, _ in cells})


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows] if rows else []
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
