"""What the parts of a report are made of: tables, figures, and what is said where something is lacking."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from oddsound.report.again import link
from oddsound.report.html import Child, Html, element, sorted_by
from oddsound.report.svg import inline_svg

WORD = "word"
"""The kind of cells that are read, not compared; their column's head stands above them."""


@dataclass(frozen=True)
class Cell:
    """`value` is what the column is sorted by, where that isn't the text; None sorts last."""

    shown: Child
    value: float | None = None
    is_number: bool = True
    kind: str | None = None


@dataclass(frozen=True)
class Place:
    """Where a section stands: `number` makes its ids; `data`: the recordings' folder; `audio`: whether
    they are put in."""

    number: int
    data: Path
    audio: bool

    def id(self, what: str) -> str:
        return f"m{self.number}-{what}"


def percent(fraction: float | None) -> str:
    return "–" if fraction is None else f"{100 * fraction:.2f}"


def number(fraction: float | None) -> Cell:
    """A fraction in %."""
    return Cell(percent(fraction), fraction)


def count(n: int) -> Cell:
    return Cell(str(n) if n else "–", n)


def word(content: str) -> Cell:
    return Cell(content, is_number=False, kind=WORD)


def table(
    caption: str,
    heads: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    name: str = "",
    below: Sequence[Sequence[Cell]] = (),
) -> Html:
    """The first cell of a row names it. name: of the region, for those who hear the page; below: rows that
    stay below the others, however these are sorted."""
    words = {0} | {column for row in rows for column, cell in enumerate(row) if cell.kind == WORD}
    titles = [
        element("th", _breakable(each), scope="col", class_=WORD if column in words else None)
        for column, each in enumerate(heads)
    ]
    head = element("thead", element("tr", titles))
    bodies = [
        element("tbody", [element("tr", _first(row[0]), map(_cell, row[1:])) for row in part])
        for part in (rows, below)
        if part
    ]
    whole = element("table", element("caption", caption), head, bodies, class_="sortable")
    return element("div", whole, class_="scroll fit", role="region", tabindex="0", aria_label=name or caption)


def facts(caption: str, rows: Sequence[tuple[str, Child]]) -> Html:
    """Names and what they are, in words."""
    body = [element("tr", element("th", name, scope="row"), element("td", what)) for name, what in rows]
    whole = element("table", element("caption", caption), element("tbody", body), class_="words")
    return element("div", whole, class_="scroll fit", role="region", tabindex="0", aria_label=caption)


def drawn(
    figure: Figure,
    name: str,
    title: str,
    says: str,
    how: str,
    remark: Child = None,
    *,
    below: Child = None,
    wide: bool = False,
) -> Html:
    """A figure under its title. name: unlike any other's; says: what it shows, with its key numbers; how:
    the recipe's key."""
    caption = element("figcaption", element("b", title), remark, " " if remark else None, link(how))
    picture = inline_svg(figure, name, says)
    if wide:  # a phone pans over it
        return element(
            "figure",
            caption,
            element("div", picture, class_="pan", role="region", tabindex="0", aria_label=title),
            below,
            class_="wide",
        )
    return element("figure", caption, picture, below)


def lacking(what: Sequence[str]) -> Html | None:
    """Why something isn't here."""
    if not what:
        return None
    body = element("p", what[0]) if len(what) == 1 else element("ul", [element("li", each) for each in what])
    return element("div", body, class_="lacking", role="note")


def _first(cell: Cell) -> Html:
    return element("th", cell.shown, scope="row", data_value=_value(cell))


def _cell(cell: Cell) -> Html:
    return element("td", cell.shown, class_=cell.kind, data_value=_value(cell))


def _value(cell: Cell) -> str | None:
    return sorted_by(cell.value) if cell.is_number else None


def _breakable(name: str) -> list[Child]:
    """A setting's dotted name may go on in a new line where a word of it ends."""
    parts = re.split(r"(?<=[._])", name)
    return [child for part in parts for child in (part, element("wbr"))][:-1]
