"""Whatever is put into a page stays text, and can be read."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oddsound.report.html import Html, element, joined, page, text, visible
from oddsound.report.palette import DARK, LIGHT, STAND_INS

HOSTILE = "<script>alert(1)</script>\"'&\u202e\u200f\x00\udcff"


class Read(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.said = ""
        self.feed(content)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.said += data


def test_a_hostile_name_is_inert_and_visible() -> None:
    read = Read(element("p", HOSTILE, title=HOSTILE))
    seen = "<script>alert(1)</script>\"'&\\u202e\\u200f\\x00\\udcff"
    assert read.elements == [("p", {"title": seen})]
    assert read.said == seen


@given(st.text(max_size=30), st.text(max_size=30))
def test_text_and_attributes_come_back_as_they_are_seen(content: str, attribute: str) -> None:
    read = Read(element("p", content, id=attribute))
    ((tag, attributes),) = read.elements
    assert (tag, attributes["id"]) == ("p", visible(attribute))
    assert read.said == visible(content)
    assert content.isascii() or page("t", "", content).encode()


def test_children_of_all_kinds() -> None:
    made = element("ul", [element("li", each) for each in ("a", "b")], None, "<", joined(["c", "d"], "<br>"))
    assert made == "<ul><li>a</li><li>b</li>&lt;c<br>d</ul>"
    assert isinstance(made, Html) and text(made) is made


def test_attributes() -> None:
    made = element("td", class_="a", data_value=1, hidden=True, title=None, open=False)
    assert made == '<td class="a" data-value="1" hidden></td>'


def test_visible_keeps_lines() -> None:
    assert visible("a\n\tb\r\u2028") == "a\n\tb\\r\\u2028"


def _luminance(color: str) -> float:
    parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(weight * p for weight, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("colors", [LIGHT, DARK], ids=["light", "dark"])
def test_every_colour_can_be_read_on_its_page(colors: dict[str, str]) -> None:
    """WCAG's contrast, 4.5 : 1 for text."""
    assert set(STAND_INS.values()) <= colors.keys()
    for name in colors.keys() - {"paper", "band", "line"}:
        for page_color in ("paper", "band"):
            dim, bright = sorted(_luminance(colors[each]) for each in (name, page_color))
            assert (bright + 0.05) / (dim + 0.05) >= 4.5, (name, page_color)
