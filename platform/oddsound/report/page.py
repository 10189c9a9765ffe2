"""Table 1 as HTML: a page of its own, and the part of a run's report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from oddsound.report.formats import CHOICE, COLUMNS, OWN, SELECTIONS, headings, shown
from oddsound.report.html import Html, element, joined, page, sorted_by
from oddsound.report.paper_figures import PAPER
from oddsound.report.style import LANDSCAPE, PAGE
from oddsound.report.table1 import Epoch, Figure, Table1, Table1Row

TITLE = "Table 1, the paper's figures beside ours"


def to_html(table: Table1, notes: Sequence[str] = (), command: str = "") -> str:
    """The whole page. notes: facts of the search, a line each; command: what made it."""
    return page(
        TITLE,
        PAGE + LANDSCAPE,
        element("h1", TITLE),
        element("ul", [element("li", note) for note in notes]) if notes else None,
        [element("p", "Made by"), element("pre", element("code", command))] if command else None,
        [section(table, epoch, chosen) for epoch, chosen in SELECTIONS],
        element("footer", element("p", legend(table))),
    )


def section(table: Table1, epoch: Epoch, chosen: str, heading: str = "h2") -> Html:
    """One choice of the epoch."""
    title = f"{chosen[0].upper()}{chosen[1:]}"
    parts = [element("tbody", [_row(row, epoch) for row in rows]) for rows in _parts(table)]
    whole = element(
        "table",
        element("caption", f"Ω in %; diff is ours − paper in percentage points. {OWN}"),
        element("colgroup", element("col")),
        [element("colgroup", span=3) for _ in headings(table)],
        element("thead", _heads(table)),
        parts,
        class_="sortable",
    )
    scroll = element("div", whole, class_="scroll", role="region", tabindex="0", aria_labelledby=epoch)
    return element("section", element(heading, title, id=epoch), scroll)


def legend(table: Table1) -> str:
    return f"– no figure. {CHOICE} {table.mean_note}"


def _heads(table: Table1) -> Iterator[Html]:
    groups = [element("th", name, colspan=3, scope="colgroup") for name in headings(table)]
    columns = [
        element("th", column, scope="col", class_="first" if column == COLUMNS[0] else None)
        for column in COLUMNS
    ]
    yield element("tr", element("th", "Model", rowspan=2, scope="col", class_="corner"), groups)
    yield element("tr", columns * len(groups))


def _parts(table: Table1) -> Iterator[list[Table1Row]]:
    """The single systems, the ensembles, and the rows that the paper doesn't have."""
    ensembles = [row for row in table.rows if row.name in PAPER and row.title.startswith(row.name)]
    others = [row for row in table.rows if row.name not in PAPER]
    systems = [row for row in table.rows if row not in ensembles and row not in others]
    yield from (part for part in (systems, ensembles, others) if part)


def _row(row: Table1Row, epoch: Epoch) -> Html:
    cells = joined(_cells(figure) for figure in row.figures(epoch))
    return element("tr", element("th", row.title, scope="row"), cells)


def _cells(figure: Figure) -> Html:
    """The three cells of a group; the difference's sign is in the text, colour only repeats it."""
    sign = figure.difference or 0
    kinds = ("first paper", "ours", "up" if sign > 0 else "down" if sign < 0 else None)
    values = (figure.paper, figure.ours, figure.difference)
    cells = zip(shown(figure), kinds, values, strict=True)
    return joined(
        element("td", _typeset(cell), class_=kind, data_value=sorted_by(value)) for cell, kind, value in cells
    )


def _typeset(cell: str) -> str:
    return "–" if cell == "-" else cell.replace("-", "−")
