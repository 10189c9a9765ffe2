"""The four formats: known lines, hostile names, and that they agree on the numbers."""

import base64
import csv
import hashlib
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.report.tables import two_machines

from oddsound.report.files import write_table1
from oddsound.report.formats import CSV_HEADER, to_csv, to_markdown, to_text
from oddsound.report.page import to_html
from oddsound.report.paper_figures import MACHINES, PAPER
from oddsound.report.table1 import Measured, Table1, build_table1

fractions = st.none() | st.floats(0, 1)
names = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=12) | st.sampled_from(
    ["<script>alert(1)</script>", "a|b", "`x`", '"', "'", "&amp;", "=1+1", ",", "a  b", "[x](http://x.test)"]
)
tables = st.builds(
    build_table1,
    st.dictionaries(
        st.sampled_from(list(PAPER)) | names,
        st.dictionaries(st.sampled_from(MACHINES) | names, st.builds(Measured, fractions, fractions)),
        max_size=4,
    ),
    st.lists(st.sampled_from(MACHINES) | names, min_size=1, max_size=3),
)


class Page(HTMLParser):
    """What a browser would make of a page: its elements, and the cells of each table's rows."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.tables: list[list[list[str]]] = []
        self._in_cell = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("th", "td"):
            self.tables[-1][-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        self._in_cell = self._in_cell and tag not in ("th", "td")

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.tables[-1][-1][-1] += data


def cells(table: Table1) -> list[list[list[str]]]:
    """For each choice of the epoch and row: title, then paper, ours and difference of each group."""
    found = []
    for epoch in ("omega", "omega_best_dev"):
        rows = []
        for row in table.rows:
            figures = [(f.paper, f.ours, f.difference) for f in row.figures(epoch)]  # type: ignore[arg-type]
            texts = [
                "-" if value is None else f"{value:+.2f}" if signed and value else f"{value:.2f}"
                for figure in figures
                for value, signed in zip(figure, (False, False, True), strict=True)
            ]
            rows.append([row.title, *texts])
        found.append(rows)
    return found


def markdown_cells(page: str) -> list[list[list[str]]]:
    """The same, read from Markdown: its blocks of columns put side by side again."""
    found = []
    for section in page.split("\n## ")[1:]:
        blocks: list[list[list[str]]] = [[]]
        for line in section.splitlines():
            if line.startswith("| ") and not line.startswith(("| Model |", "| --- |")):
                parts = [part.strip() for part in re.split(r"(?<!\\)\|", line)[1:-1]]
                blocks[-1].append([re.sub(r"\\(.)", r"\1", parts[0]), *parts[1:]])
            elif line.startswith("| Model |") and blocks[-1]:
                blocks.append([])
        joined = blocks[0]
        for block in blocks[1:]:
            joined = [left + right[1:] for left, right in zip(joined, block, strict=True)]
        found.append(joined)
    return found


def spaced(line: str) -> str:
    return " ".join(line.split())


def test_text_by_hand() -> None:
    lines = to_text(two_machines()).splitlines()
    assert lines[0] == "Table 1, last epoch, no label looked at"
    assert spaced(lines[2]) == "fan slider mean of 2"
    assert "Table 1, best epoch chosen with the labels of the test clips" in lines
    effnet = [line for line in lines if line.startswith("EfficientNet-B0")]
    assert spaced(effnet[0]) == "EfficientNet-B0 66.11 65.00 -1.11 67.46 70.00 +2.54 66.78 67.50 +0.72"
    assert spaced(effnet[1]) == "EfficientNet-B0 66.11 66.11 0.00 67.46 71.23 +3.77 66.78 68.67 +1.89"
    pretrain = next(line for line in lines if line.startswith("+ Pretrain "))
    assert spaced(pretrain) == "+ Pretrain 68.03 - - 61.78 61.78 0.00 64.91 - -"


@pytest.mark.parametrize("width, n_blocks", [(80, 4), (100, 3), (250, 1)])
def test_text_fits_its_width(width: int, n_blocks: int) -> None:
    measured = {name: {machine: Measured(0.5, 0.6) for machine in MACHINES} for name in PAPER}
    text = to_text(build_table1(measured), width=width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert sum(line.lstrip().startswith("paper ") for line in text.splitlines()) == 2 * n_blocks


def test_two_machine_types_fit_one_block_of_a_hundred() -> None:
    assert sum(line.startswith("EfficientNet-B0") for line in to_text(two_machines()).splitlines()) == 2


def test_colour_adds_nothing_but_codes() -> None:
    plain, colored = to_text(two_machines()), to_text(two_machines(), color=True)
    assert "\x1b" not in plain
    assert "\x1b[32m  +2.54\x1b[0m" in colored and "\x1b[31m  -1.11\x1b[0m" in colored
    assert re.sub(r"\x1b\[\d+m", "", colored) == plain


def test_csv_by_hand() -> None:
    lines = to_csv(two_machines()).split("\n")
    assert lines[0] == "row,title,machine,paper,omega,omega_best_dev,difference"
    assert "effnet,EfficientNet-B0,slider,67.46,70.00,71.23,2.54" in lines
    assert "effnet,EfficientNet-B0,mean,66.78,67.50,68.67,0.72" in lines
    assert "effnet_pretrain,+ Pretrain,fan,68.03,,," in lines
    assert "S1,S1 (Best Single Model),mean,71.93,67.50,,-4.43" in lines
    assert len(lines) == 1 + 12 * 3 + 1 and lines[-1] == ""


@given(tables)
def test_csv_round_trips(table: Table1) -> None:
    read = list(csv.reader(io.StringIO(to_csv(table), newline="")))
    assert read.pop(0) == list(CSV_HEADER)
    for row in table.rows:
        for machine in (*table.machines, None):
            last, best = (
                row.mean_figure(e) if machine is None else row.figure(machine, e)
                for e in ("omega", "omega_best_dev")
            )
            name, title, of, *figures = read.pop(0)
            assert (name, title, of) == (row.name, row.title, machine or "mean")
            values = [float(figure) if figure else None for figure in figures]
            assert values == [last.paper, last.ours, best.ours, last.difference]
    assert not read


@given(tables)
def test_html_and_markdown_agree_with_the_table(table: Table1) -> None:
    page = Page(to_html(table))
    plain = [[[c.replace("–", "-").replace("−", "-") for c in row[1:]] for row in t[2:]] for t in page.tables]
    assert plain == [[row[1:] for row in rows] for rows in cells(table)]
    assert [[row[0] for row in t[2:]] for t in page.tables] == [[r.title for r in table.rows]] * 2
    assert page.tables[0][0] == ["Model", *table.machines, table.mean_title]
    in_markdown = markdown_cells(to_markdown(table))
    assert [[row[1:] for row in rows] for rows in in_markdown] == [
        [r[1:] for r in rows] for rows in cells(table)
    ]


@given(names | st.text(max_size=40), names | st.text(max_size=40))
def test_whatever_is_handed_in_makes_no_element(note: str, command: str) -> None:
    hostile = build_table1({"<img src=x onerror=alert(1)>": {"<b>&": Measured(0.5)}}, ['"><script>'])
    page = Page(to_html(hostile, [note], command))
    known = "html head meta title style body h1 ul li p pre code section h2 div table caption colgroup col"
    known += " thead tbody tr th td footer"
    assert {tag for tag, _ in page.elements} <= set(known.split())
    assert not any(name.startswith("on") for _, attrs in page.elements for name in attrs)


def test_html_asks_for_nothing_and_allows_its_own_style_alone() -> None:
    page = to_html(two_machines(), ["two machine types"], "oddsound run data/x --out runs/y")
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    own = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = next(a["content"] for _, a in Page(page).elements if "http-equiv" in a)
    assert policy == f"default-src 'none'; style-src 'sha256-{own}'; base-uri 'none'; form-action 'none'"
    assert not re.search(r"https?:|\burl\(|@import|\ssrc=|\shref=|\sstyle=|<script", page)
    assert '<meta charset="utf-8">' in page


def test_html_says_which_cell_is_whose() -> None:
    page = Page(to_html(two_machines()))
    scopes = [attrs.get("scope") for tag, attrs in page.elements if tag == "th"]
    assert None not in scopes and {"row", "col", "colgroup"} == set(scopes)
    assert sum(tag == "caption" for tag, _ in page.elements) == 2
    assert ("html", {"lang": "en"}) in page.elements


def test_markdown_by_hand() -> None:
    page = to_markdown(two_machines(), ["seed 0", "a *bold*\nclaim"], "oddsound run data/x --out runs/y")
    assert "- seed 0\n- a \\*bold\\* claim\n" in page
    assert "```sh\noddsound run data/x --out runs/y\n```" in page
    effnet = "| EfficientNet-B0 | 66.11 | 65.00 | -1.11 | 67.46 | 70.00 | +2.54 | 66.78 | 67.50 | +0.72 |"
    assert effnet in page.splitlines()
    assert "````sh\n```\n````" in to_markdown(two_machines(), (), "```")


def test_files_are_written_whole_and_alike(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "table1"
    arguments = (two_machines(), folder, ["one \udcff note"], "oddsound run caf\udce9")
    paths = write_table1(*arguments)
    before = [path.read_bytes() for path in paths]
    assert [path.name for path in paths] == ["table1.csv", "table1.md", "table1.html"]
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in paths)
    assert b"\r" not in b"".join(before)
    assert [path.read_bytes() for path in write_table1(*arguments)] == before
