"""Table 1 as one HTML page: no script, no request, its own style allowed by hash and nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from html import escape

from oddsound.report.formats import CHOICE, COLUMNS, SELECTIONS, headings, shown
from oddsound.report.paper_figures import PAPER
from oddsound.report.table1 import Epoch, Figure, Table1, Table1Row

TITLE = "Table 1, the paper's figures beside ours"
_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --soft: #57606a; --line: #d0d7de;
  --band: #f6f8fa; --up: #116329; --down: #a40e26; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117; --soft: #9aa4af;
  --line: #3d444d; --band: #161b22; --up: #56d364; --down: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem; max-width: 110rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 1rem; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
ul { padding-left: 1.25rem; }
li, p { overflow-wrap: anywhere; max-width: 75ch; }
pre { margin: .5rem 0 0; padding: .75rem 1rem; background: var(--band); border: 1px solid var(--line);
  border-radius: 6px; white-space: pre-wrap; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 6px; }
.scroll:focus-visible { outline: 3px solid var(--soft); }
table { border-collapse: separate; border-spacing: 0; font-size: .8125rem; width: 100%; }
caption { text-align: left; padding: .6rem .35rem; color: var(--soft); }
th, td { padding: .3rem .35rem; text-align: right; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
thead th { border-top: 1px solid var(--line); background: var(--band); font-weight: 600; }
thead tr + tr th { border-top: 0; border-bottom: 1px solid var(--line); font-weight: 400;
  color: var(--soft); }
thead th[colspan] { text-align: center; border-left: 1px solid var(--line); }
tbody th, th.corner { position: sticky; left: 0; text-align: left;
  background: var(--paper); border-right: 1px solid var(--line); }
th.corner { background: var(--band); border-bottom: 1px solid var(--line); vertical-align: bottom; }
tbody th { font-weight: 400; }
tbody + tbody tr:first-child > * { border-top: 2px solid var(--line); }
tbody tr:nth-child(even) > * { background: var(--band); }
.first { border-left: 1px solid var(--line); }
thead th.corner + th, thead tr + tr th:first-child, tbody th + .first { border-left: 0; }
.paper, .none { color: var(--soft); }
.ours { font-weight: 600; }
.up { color: var(--up); }
.down { color: var(--down); }
footer { margin-top: 1.5rem; color: var(--soft); }
@media (max-width: 40rem) { body { padding: 1rem .75rem; }
  tbody th, th.corner { white-space: normal; min-width: 7.5rem; max-width: 7.5rem; } }
@page { size: A4 landscape; margin: 10mm; }
@media print { :root { color-scheme: light; --ink: #000; --paper: #fff; --soft: #333; --line: #999;
    --band: #fff; --up: #000; --down: #000; }
  body { padding: 0; max-width: none; } .scroll { overflow: visible; border: 0; }
  table { font-size: 6.5pt; } th, td { padding: 1pt 2pt; } section { break-inside: avoid; }
  tbody th, th.corner { position: static; } }
"""


def to_html(table: Table1, notes: Sequence[str] = (), command: str = "") -> str:
    """The whole page. notes: facts of the search, a line each; command: what made it."""
    return "\n".join(
        ["<!DOCTYPE html>", '<html lang="en">', *_head(), *_body(table, notes, command), "</html>", ""]
    )


def _head() -> Iterator[str]:
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    yield "<head>"
    yield '<meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield '<meta name="referrer" content="no-referrer">'
    yield f"<title>{escape(TITLE)}</title>"
    yield f"<style>{_STYLE}</style>"
    yield "</head>"


def _body(table: Table1, notes: Sequence[str], command: str) -> Iterator[str]:
    yield "<body>"
    yield f"<h1>{escape(TITLE)}</h1>"
    if notes:
        yield f"<ul>{''.join(f'<li>{_text(note)}</li>' for note in notes)}</ul>"
    if command:
        yield f"<p>Made by</p><pre><code>{_text(command)}</code></pre>"
    for epoch, chosen in SELECTIONS:
        yield from _section(table, epoch, chosen)
    yield f"<footer><p>– no figure. {CHOICE} {escape(table.mean_note)}</p></footer>"
    yield "</body>"


def _section(table: Table1, epoch: Epoch, chosen: str) -> Iterator[str]:
    heading = f"{chosen[0].upper()}{chosen[1:]}"
    yield f'<section><h2 id="{epoch}">{escape(heading)}</h2>'
    yield f'<div class="scroll" role="region" tabindex="0" aria-labelledby="{epoch}"><table>'
    yield "<caption>Ω in %; diff is ours − paper in percentage points.</caption>"
    yield f"<colgroup><col></colgroup>{'<colgroup span=3></colgroup>' * len(headings(table))}"
    yield from _table_head(table)
    for rows in _parts(table):
        yield "<tbody>"
        yield from (_row(row, epoch) for row in rows)
        yield "</tbody>"
    yield "</table></div></section>"


def _table_head(table: Table1) -> Iterator[str]:
    groups = "".join(f'<th colspan="3" scope="colgroup">{escape(name)}</th>' for name in headings(table))
    columns = "".join(
        f'<th scope="col"{_class("first" if column == COLUMNS[0] else "")}>{column}</th>'
        for column in COLUMNS
    )
    yield f'<thead><tr><th rowspan="2" scope="col" class="corner">Model</th>{groups}</tr>'
    yield f"<tr>{columns * len(headings(table))}</tr></thead>"


def _parts(table: Table1) -> Iterator[list[Table1Row]]:
    """The single systems, the ensembles, and the rows that the paper doesn't have."""
    ensembles = [row for row in table.rows if row.name in PAPER and row.title.startswith(row.name)]
    others = [row for row in table.rows if row.name not in PAPER]
    systems = [row for row in table.rows if row not in ensembles and row not in others]
    yield from (part for part in (systems, ensembles, others) if part)


def _row(row: Table1Row, epoch: Epoch) -> str:
    cells = "".join(_cells(figure) for figure in row.figures(epoch))
    return f'<tr><th scope="row">{escape(row.title)}</th>{cells}</tr>'


def _cells(figure: Figure) -> str:
    """The three cells of a group; the difference's sign is in the text, colour only repeats it."""
    sign = figure.difference or 0
    kinds = ("first paper", "ours", "up" if sign > 0 else "down" if sign < 0 else "")
    cells = zip(shown(figure), kinds, strict=True)
    return "".join(f"<td{_class(kind)}>{_typeset(cell)}</td>" for cell, kind in cells)


def _class(names: str) -> str:
    return f' class="{names}"' if names else ""


def _typeset(cell: str) -> str:
    return "–" if cell == "-" else cell.replace("-", "−")


def _text(text: str) -> str:
    """Escaped; what UTF-8 can't encode (an odd byte of a file name) is spelt out."""
    return escape(text.encode("utf-8", "backslashreplace").decode())
