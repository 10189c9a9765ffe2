"""Table 1 as text for a terminal, as CSV and as Markdown. `oddsound.report.page` has the HTML."""

from __future__ import annotations

import csv
import io
import re
import textwrap
from collections.abc import Iterator, Sequence

from oddsound.report.table1 import Epoch, Figure, Table1, Table1Row

SELECTIONS: tuple[tuple[Epoch, str], ...] = (
    ("omega", "last epoch, no label looked at"),
    ("omega_best_dev", "best epoch chosen with the labels of the test clips"),
)
"""Both choices of the epoch, the honest one first."""
COLUMNS = ("paper", "ours", "diff")
CSV_HEADER = ("row", "title", "machine", "paper", "omega", "omega_best_dev", "difference")
CHOICE = "The paper's published code chooses its epochs with the labels."
OWN = "S1 to S4 are the fusions' own, also where S1's scores are submitted in their place."
_LEGEND = "Omega in %; diff is ours - paper in percentage points."
_WIDTHS = (8, 7, 7)
_GROUP = sum(_WIDTHS)
_TITLE = 44
_MARKDOWN_GROUPS = 4
_BOLD, _GREEN, _RED, _PLAIN = "\x1b[1m", "\x1b[32m", "\x1b[31m", "\x1b[0m"


def shown(figure: Figure) -> tuple[str, str, str]:
    """Paper, ours and the signed difference as the table shows them; "-" where there is none."""
    difference = figure.difference
    signed = "-" if difference is None else f"{difference:+.2f}" if difference else "0.00"
    return _two_decimals(figure.paper), _two_decimals(figure.ours), signed


def to_text(table: Table1, color: bool = False, width: int = 100) -> str:
    """The table for a terminal of `width` characters, without a newline at the end.

    Where it is too wide it is broken into blocks of machine types, of one at least. color: ANSI codes.
    """
    title_width = min(_TITLE, max(len(row.title) for row in table.rows))
    groups = max(1, (width - title_width) // _GROUP)
    lines: list[str] = []
    for epoch, chosen in SELECTIONS:
        lines.append(_styled(f"Table 1, {chosen}", _BOLD, color))
        for columns in _blocks(table, groups):
            lines += ["", *_text_block(table, epoch, columns, title_width, color)]
        lines.append("")
    legend = textwrap.wrap(f"{_LEGEND} {CHOICE} {table.mean_note}", max(width, 40))
    return "\n".join([*lines, *legend])


def to_csv(table: Table1) -> str:
    """One line a row and machine type, then one for the row's mean, whose machine is "mean".

    Figures in % with two decimals, nothing where there is none; the difference is the label-free
    last epoch's to the paper, in percentage points. Lines end in LF.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_HEADER)
    for row in table.rows:
        best = row.figures("omega_best_dev")
        for machine, last, of_best in zip((*table.machines, "mean"), row.figures(), best, strict=True):
            fields = (last.paper, last.ours, of_best.ours, last.difference)
            writer.writerow([row.name, row.title, machine, *(_two_decimals(f, "") for f in fields)])
    return stream.getvalue()


def to_markdown(table: Table1, notes: Sequence[str] = (), command: str = "") -> str:
    """A section for each choice of the epoch. notes: facts of the search; command: what made it."""
    lines = ["# Table 1, the paper's figures beside ours", ""]
    if notes:
        lines += [*(f"- {_markdown(note)}" for note in notes), ""]
    if command:
        lines += [*_fenced(command), ""]
    for epoch, chosen in SELECTIONS:
        lines += [f"## Ω in %, {chosen}", ""]
        for columns in _blocks(table, _MARKDOWN_GROUPS):
            lines += [*_markdown_block(table, epoch, columns), ""]
    legend = f"diff is ours − paper in percentage points. {CHOICE} {_markdown(table.mean_note)}"
    return "\n".join([*lines, legend, ""])


def headings(table: Table1) -> tuple[str, ...]:
    """The groups of three columns from left to right: each machine type, then the mean."""
    return (*table.machines, table.mean_title)


def _blocks(table: Table1, size: int) -> Iterator[range]:
    """The groups of columns by their places, at most `size` at a time."""
    count = len(table.machines) + 1
    for start in range(0, count, size):
        yield range(start, min(start + size, count))


def _of_block(row: Table1Row, epoch: Epoch, columns: range) -> list[Figure]:
    return list(row.figures(epoch))[columns.start : columns.stop]


def _text_block(table: Table1, epoch: Epoch, columns: range, width: int, color: bool) -> Iterator[str]:
    names = "".join(f"{_cut(headings(table)[i], _GROUP - 2):>{_GROUP}}" for i in columns)
    yield _styled(" " * width + names, _BOLD, color)
    yield " " * width + "".join(_padded(COLUMNS)) * len(columns)
    for row in table.rows:
        cells = "".join(_colored(figure, color) for figure in _of_block(row, epoch, columns))
        yield f"{_cut(row.title, width):<{width}}{cells}"


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 2] + ".."


def _padded(cells: Sequence[str]) -> list[str]:
    return [f"{cell:>{width}}" for cell, width in zip(cells, _WIDTHS, strict=True)]


def _colored(figure: Figure, color: bool) -> str:
    paper, ours, difference = _padded(shown(figure))
    sign = figure.difference or 0
    return paper + ours + _styled(difference, _GREEN if sign > 0 else _RED, color and bool(sign))


def _styled(text: str, style: str, color: bool) -> str:
    return f"{style}{text}{_PLAIN}" if color else text


def _markdown_block(table: Table1, epoch: Epoch, columns: range) -> Iterator[str]:
    names = [f"{_markdown(headings(table)[i])} {column}" for i in columns for column in COLUMNS]
    yield _markdown_line(["Model", *names])
    yield _markdown_line(["---", *("---:" for _ in names)])
    for row in table.rows:
        cells = [cell for figure in _of_block(row, epoch, columns) for cell in shown(figure)]
        yield _markdown_line([_markdown(row.title), *cells])


def _markdown_line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _markdown(text: str) -> str:
    """`text` on one line, as itself wherever Markdown or HTML would read something into it."""
    return re.sub(r"([\\`*_\[\]<>|&#~$!])", r"\\\1", " ".join(text.split()))


def _fenced(command: str) -> list[str]:
    """A code block whose fence is longer than any row of backticks within."""
    longest = max((len(ticks) for ticks in re.findall(r"`+", command)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}sh", *command.splitlines(), fence]


def _two_decimals(value: float | None, missing: str = "-") -> str:
    return missing if value is None else f"{value:.2f}"
