"""Figures as SVG that a page with a strict policy can hold."""

import re
from xml.etree import ElementTree

from matplotlib.figure import Figure

from oddsound.report.palette import BLUE, INK, ORANGE
from oddsound.report.svg import HALO, drawing, inline_svg, short


def figure(title: str = "a title") -> Figure:
    made = Figure((3, 2), layout="constrained")
    axes = made.add_subplot(title=title, xlabel="x")
    axes.plot([0, 1, 2], [1, 0.123456789, 2], color=BLUE, marker="o")
    axes.fill_between([0, 1], 0, 1, color=ORANGE, alpha=0.5)
    axes.text(1, 1, "on a line", color=INK, gid=HALO)
    axes.imshow([[0, 1], [2, 3]], interpolation="none")
    return made


def svg(name: str = "f", title: str = "a title") -> str:
    with drawing():
        return inline_svg(figure(title), name, "what it shows")


def test_it_is_one_element_with_a_role_and_a_name() -> None:
    root = ElementTree.fromstring(svg())
    assert root.tag == "svg"
    assert (root.attrib["role"], root.attrib["aria-label"]) == ("img", "what it shows")
    assert (root.attrib["width"], root.attrib["height"]) == ("288", "192")


def test_no_style_of_its_own_and_no_colour_but_the_pages() -> None:
    made = svg()
    assert "style" not in made
    assert set(re.findall(r'(?:fill|stroke)="(#\w+)"', made)) <= {"#ffffff", "#000000"}
    assert 'class="stroke-blue"' in made and "fill-orange" in made
    assert f'class="{HALO}"' in made


def test_text_stays_text_whatever_it_says() -> None:
    title = "$x^2$ \\frac <b> 回 & 'quoted'"
    texts = [each.text for each in ElementTree.fromstring(svg(title=title)).iter("text")]
    assert title in texts and "on a line" in texts
    assert "font-family" not in svg()


def test_what_no_reader_would_see_is_spelt_out() -> None:
    texts = [each.text for each in ElementTree.fromstring(svg(title="a\x00b\x1bc\u202ed")).iter("text")]
    assert r"a\x00b\x1bc\u202ed" in texts


def test_long_names_keep_their_ends() -> None:
    assert short("augment.time_mask_frames", 12) == "…mask_frames"
    assert short("two\nlines\x1b") == r"two lines\x1b" and short("\udcff" * 9) == "…f" + r"\udcff" * 4


def test_ids_are_unique_over_figures_and_all_that_is_referred_to_is_there() -> None:
    first, second = svg("one"), svg("two")
    ids = [re.findall(r'\bid="([^"]+)"', made) for made in (first, second)]
    assert ids[0] and not set(ids[0]) & set(ids[1])
    for made, own in zip((first, second), ids, strict=True):
        assert len(own) == len(set(own))
        assert set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', made)) <= {(i, "") for i in own} | {
            ("", i) for i in own
        }


def test_it_is_the_same_each_time_and_asks_for_nothing() -> None:
    made = svg()
    assert made == svg()
    assert not re.search(r"https?:|<metadata|<style|<!DOCTYPE|xlink", made)
    assert re.findall(r'href="(data:image/png;base64),', made)


def test_coordinates_are_short() -> None:
    paths = " ".join(re.findall(r' d="([^"]+)"', svg()))
    assert not re.search(r"\.\d{3}", paths)
