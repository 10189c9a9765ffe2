"""A run's report as a reader meets it: a file, opened in a real browser, with and without scripts."""

from __future__ import annotations

import contextlib
import os
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from tests.browser.mlflow_pages import FLAGS, chromium
from tests.unit.report.hostile import CLIP, SCRIPT, hostile_run
from tests.unit.report.runs import whole_run

from oddsound.report.blocks import Cell, count, number, table, word
from oddsound.report.html import Html
from oddsound.report.html import page as document
from oddsound.report.palette import DARK, LIGHT
from oddsound.report.run_page import Asked, write_report
from oddsound.report.search_figures import history_figure, slice_figure
from oddsound.report.sorting import SCRIPT as SORTING
from oddsound.report.style import PAGE, RUN
from oddsound.report.svg import drawing, inline_svg
from oddsound.report.trial_figures import loss_figure
from oddsound.search.record import read_record
from oddsound.search.space_yaml import Dimension

pytestmark = pytest.mark.slow


@dataclass
class Visit:
    """An open page, and what it said, asked for and stumbled over meanwhile."""

    page: Page
    said: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


Open = Callable[..., Visit]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if chromium() is None:
        reason = "no chromium on PATH, and CHROMIUM names none"
        if os.environ.get("CI") == "true":
            pytest.fail(f"{reason}: .ci/run installs it")
        pytest.skip(f"{reason}: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        yield browser
        browser.close()


def report_of(run: Path) -> Path:
    record, path = read_record(run), run / "report.html"
    write_report(run, record, Asked(list(record.machines), "oddsound search data --out RUN"), path)
    return path


@pytest.fixture(scope="module")
def report(browser: Browser, small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report_of(whole_run(tmp_path_factory.mktemp("report") / "run", small_data))


def written(folder: Path, *body: Html) -> Path:
    """A page with the report's style and script alone."""
    path = folder / "page.html"
    path.write_text(document("a page", PAGE + RUN, *body, script=SORTING))
    return path


@pytest.fixture
def opened(browser: Browser) -> Iterator[Open]:
    """Opens a file; `options` are of the browser's context. Whatever goes wrong fails the test."""
    visits: list[Visit] = []

    def open_file(path: Path, **options: Any) -> Visit:
        visit = Visit(browser.new_context(viewport={"width": 1300, "height": 900}, **options).new_page())
        visit.page.on("console", lambda message: visit.said.append(message.text))
        visit.page.on("pageerror", lambda error: visit.said.append(str(error)))
        visit.page.on("dialog", lambda dialog: visit.said.append(dialog.message))
        visit.page.on("request", lambda request: visit.requests.append(request.url))
        visit.page.goto(path.as_uri())
        visits.append(visit)
        return visit

    yield open_file
    for visit in visits:
        visit.page.context.close()
        assert visit.said == []
        assert [url for url in visit.requests[1:] if not url.startswith("data:")] == []


def test_every_figure_is_drawn_in_the_pages_colours(report: Path, opened: Open) -> None:
    page = opened(report).page
    drawn = page.eval_on_selector_all(
        "svg.plot",
        """all => all.map(svg => [...svg.querySelectorAll("path, image, use")]
               .filter(each => each.getBoundingClientRect().width > 0).length)""",
    )
    assert len(drawn) == 23 and min(drawn) > 3
    for scheme, colors in (("light", LIGHT), ("dark", DARK)):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        red, green, blue = (int(colors["blue"][place : place + 2], 16) for place in (1, 3, 5))
        stroke = page.eval_on_selector(".stroke-blue", "each => getComputedStyle(each).stroke")
        assert stroke == f"rgb({red}, {green}, {blue})"
        text = page.eval_on_selector("svg.plot text", "each => getComputedStyle(each).fill")
        assert text == page.eval_on_selector("h1", "each => getComputedStyle(each).color")


_CUT = """all => all.flatMap(svg => {
    const box = svg.getBoundingClientRect();
    return [...svg.querySelectorAll("text")].filter(text => {
        const own = text.getBoundingClientRect();
        return own.left < box.left || own.right > box.right || own.top < box.top || own.bottom > box.bottom;
    }).map(text => text.textContent);
})"""


@pytest.mark.parametrize("width", [1300, 390])
def test_no_text_of_a_figure_is_cut(width: int, report: Path, opened: Open) -> None:
    page = opened(report).page
    page.set_viewport_size({"width": width, "height": 900})
    assert page.eval_on_selector_all("svg.plot", _CUT) == []


def test_there_is_room_for_numbers_of_many_digits(tmp_path: Path, opened: Open) -> None:
    omegas, settings = [68.412, 68.451], {"loss.rho": Dimension(low=0.1, high=0.2)}
    with drawing():
        figures = [
            inline_svg(history_figure([(0, omegas[0]), (1, omegas[1])]), "history", "label"),
            inline_svg(
                slice_figure(settings, [{"loss.rho": 0.1}, {"loss.rho": 0.2}], omegas), "slice", "label"
            ),
            inline_svg(loss_figure({"loss/a": ([1, 2], [0.00011, 0.00012])}), "loss", "label"),
        ]
    page = opened(written(tmp_path, *figures)).page
    assert page.eval_on_selector_all("svg.plot", _CUT) == []


def test_pictures_are_allowed_by_the_policy(report: Path, opened: Open) -> None:
    picture = opened(report).page.locator("svg.plot:has(image)").first
    picture.scroll_into_view_if_needed()
    shot = Image.open(BytesIO(picture.screenshot()))
    assert len(shot.convert("RGB").getcolors(1 << 20) or ()) > 200


def test_every_recording_can_be_played(report: Path, opened: Open) -> None:
    page = opened(report).page
    page.wait_for_function("[...document.querySelectorAll('audio')].every(each => each.readyState >= 2)")
    lengths = page.eval_on_selector_all("audio", "all => all.map(each => each.duration)")
    assert len(lengths) == 8 and all(length == pytest.approx(1.0, abs=0.01) for length in lengths)


def test_tables_are_sorted_by_keyboard(report: Path, opened: Open) -> None:
    page = opened(report).page
    table = page.locator("table.sortable").filter(has_text="Trials of fan: ").first
    numbers = table.locator("tbody tr > :nth-child(2)")

    def omegas() -> list[str]:
        return numbers.all_inner_texts()

    before = omegas()
    head = table.get_by_role("columnheader", name="Ω [%]")
    head.get_by_role("button").focus()
    page.keyboard.press("Enter")
    known = [each for each in before if each != "–"]
    assert omegas() == [*sorted(known, key=float), *["–"] * (len(before) - len(known))]
    assert head.get_attribute("aria-sort") == "ascending"
    page.keyboard.press("Space")
    assert omegas()[: len(known)] == sorted(known, key=float, reverse=True)
    assert head.get_attribute("aria-sort") == "descending"
    table.get_by_role("button", name="state").click()
    assert head.get_attribute("aria-sort") is None
    assert table.locator("tbody tr > :nth-last-child(3)").all_inner_texts()[0] == "damaged"


def test_table1_is_sorted_part_by_part(report: Path, opened: Open) -> None:
    page = opened(report).page
    table = page.locator("section:has(> #table1) table").first
    assert table.locator("thead th[colspan] button").count() == 0

    def models(part: int) -> list[str]:
        return table.locator(f"tbody:nth-of-type({part}) th").all_inner_texts()

    singles, systems = models(1), models(2)
    table.get_by_role("button", name="paper").first.focus()
    page.keyboard.press("Enter")
    papers = table.locator("tbody:nth-of-type(1) td:nth-child(2)").all_inner_texts()
    assert papers == sorted(papers, key=float)
    assert sorted(models(1)) == sorted(singles) and sorted(models(2)) == sorted(systems)
    assert models(1) != singles
    table.get_by_role("button", name="Model").press("Enter")
    assert models(2) == sorted(systems)


def test_the_mean_stays_below_the_machine_types(report: Path, opened: Open) -> None:
    table = opened(report).page.locator("section:has(> #systems) table")
    for _ in range(2):
        table.get_by_role("button", name="Ω [%]").click()
        assert table.locator("tr th[scope=row]").all_inner_texts()[-1] == "mean"
    assert table.locator("tbody th").all_inner_texts() == ["valve", "fan", "mean"]


MIXED = [
    [word(str(n)), Cell(x, v, is_number=v is not None)]
    for n, (x, v) in enumerate(
        [("b", None), ("0.5", 0.5), ("a", None), ("0.1", 0.1), ("c", None), ("0.3", 0.3)]
    )
]


def test_numbers_are_sorted_before_words(tmp_path: Path, opened: Open) -> None:
    page = opened(written(tmp_path, table("Settings", ["trial", "augment.mixup_alpha"], MIXED))).page
    page.get_by_role("button", name="augment.mixup_alpha").click()
    assert page.locator("td").all_inner_texts() == ["0.1", "0.3", "0.5", "a", "b", "c"]


def test_without_scripts_nothing_is_missing(report: Path, opened: Open) -> None:
    page = opened(report, java_script_enabled=False).page
    assert page.get_by_role("button").count() == 0
    assert page.get_by_role("columnheader", name="best Ω [%]").is_visible()
    for title in ("ROC by section and domain", "Losses by epoch", "What didn't finish", "Environment"):
        assert page.get_by_text(title).first.is_visible()
    assert page.locator("svg.plot").count() == 23 and page.locator("audio").first.is_visible()


def test_hostile_names_do_nothing(small_data: Path, tmp_path: Path, opened: Open) -> None:
    page = opened(report_of(hostile_run(tmp_path, small_data))).page
    page.wait_for_function("[...document.querySelectorAll('audio')].every(each => each.readyState >= 2)")
    assert page.title() == "Report of run"
    assert page.locator("img").count() == 0 and page.locator("script").count() == 1
    for name in (CLIP, SCRIPT):
        assert page.get_by_text(name).first.is_visible()


@pytest.mark.parametrize("width", [360, 390, 768])
def test_a_phone_scrolls_down_alone(width: int, report: Path, opened: Open, tmp_path: Path) -> None:
    page = opened(report, color_scheme="dark").page
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.screenshot(path=tmp_path / "phone.png", full_page=True)


HEADS = ("trial", "Ω [%]", "augment.mixup_alpha", "features.median_frames", "training.learning_rate")
_TEXTS = """() => [...document.querySelectorAll("thead th")].flatMap(head => {
    const walk = document.createTreeWalker(head, NodeFilter.SHOW_TEXT), lines = [];
    for (let node; (node = walk.nextNode());) {
        for (const word of node.data.matchAll(/\\S+/g)) {
            const range = document.createRange();
            range.setStart(node, word.index);
            range.setEnd(node, word.index + word[0].length);
            lines.push(range.getClientRects().length);
        }
    }
    return lines;
})"""


def n_shown(paper: bytes) -> list[int]:
    """Of each page of a PDF, how often it shows text."""
    found = []
    for stream in re.findall(rb"stream\r?\n(.*?)endstream", paper, re.DOTALL):
        with contextlib.suppress(zlib.error):
            if b"BT" in (content := zlib.decompress(stream)):
                found.append(len(re.findall(rb"T[jJ]\b", content)))
    return found


def test_every_printed_page_of_a_table_has_its_head(tmp_path: Path, opened: Open) -> None:
    rows = [[count(n + 1), *(number(n / 100) for _ in HEADS[1:])] for n in range(100)]
    path = written(tmp_path, table("Trials", HEADS, rows))
    with_scripts, without = (
        n_shown(opened(path, java_script_enabled=is_on).page.pdf(prefer_css_page_size=True))
        for is_on in (True, False)
    )
    assert len(without) > 1 and with_scripts == without


def test_printed_heads_break_between_words(tmp_path: Path, opened: Open) -> None:
    heads = [*HEADS, *(f"augment.time_mask_frames_{n}" for n in range(6))]
    page = opened(written(tmp_path, table("Trials", heads, [[number(0.5)] * len(heads)]))).page
    page.set_viewport_size({"width": 703, "height": 1000})
    page.emulate_media(media="print")
    assert set(page.evaluate(_TEXTS)) == {1}
    assert page.evaluate("document.documentElement.scrollWidth") <= 703


def test_it_is_printed_whole_on_a4(report: Path, opened: Open) -> None:
    page = opened(report).page
    paper = page.pdf(prefer_css_page_size=True)
    assert b"/MediaBox [0 0 594.95996 841.91998]" in paper or b"/MediaBox [0 0 595" in paper
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible() and not page.locator("audio").first.is_visible()
    assert page.get_by_text("What didn't finish").first.is_visible()
