"""matplotlib's figures as inline SVG that obeys the page: its colours, its fonts, its policy.

The page's policy knows no style attributes, so what matplotlib puts there becomes attributes of SVG.
Colours are names: a figure is drawn in the stand-ins below, which become classes that the style sheet
gives a colour, one in light and another in dark. Text stays text, in the page's own font.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from xml.etree import ElementTree

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from oddsound.report.html import Html, visible
from oddsound.report.palette import CURVES, INK, LINE, STAND_INS

HALO = "halo"
"""The gid of text that stands on lines."""
_PX_PER_PT = 96 / 72
_SETTINGS = {
    "axes.axisbelow": True,
    "axes.edgecolor": LINE,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 9.5,
    "figure.facecolor": "none",
    "font.size": 9.0,
    "grid.alpha": 0.6,
    "grid.color": LINE,
    "grid.linewidth": 0.5,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.6,
    "lines.markersize": 5.0,
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
    "svg.hashsalt": "oddsound",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": LINE,
    "xtick.labelcolor": INK,
    "ytick.color": LINE,
    "ytick.labelcolor": INK,
}
_DRAWN = ("fill", "stroke")
_KEPT = re.compile(r"(fill|stroke|opacity|text-anchor|image-rendering|clip|font-(size|weight|style))[a-z-]*")
_PLACED = ("d", "x", "y", "transform")
_LONG = re.compile(r"-?\d+\.\d{3,}")


@contextmanager
def drawing() -> Iterator[None]:
    """Figures made and turned into SVG in here have the reports' settings, whatever the user's are."""
    with warnings.catch_warnings(), style.context(["default", _SETTINGS], after_reset=True):
        # A sign that matplotlib's own font lacks is the browser's to draw.
        warnings.simplefilter("ignore")
        yield


def place_axes(figure: Figure, left: float, right: float, bottom: float, top: float, *gaps: float) -> None:
    """Margins, and the gaps between panels across and down, in inches; what stands at the left of a panel
    has at least the room that it needs. To be called when everything is drawn.

    Where they are known matplotlib needn't measure every text, which takes longer than drawing it.
    """
    width, height = figure.get_size_inches()
    firsts, others = _columns(figure)
    for _ in range(2):  # a narrower panel can have other ticks
        left = max([left, *map(_room, firsts)])
        figure.subplots_adjust(left / width, bottom / height, 1 - right / width, 1 - top / height)
    across, down = figure.axes[0].get_subplotspec().get_gridspec().get_geometry()[::-1]  # type: ignore[union-attr]
    if gaps:
        gap = max([gaps[0], *(0.1 + _room(axes) for axes in others)])
        wide, high = (width - left - right + gap) / across, (height - bottom - top + gaps[-1]) / down
        figure.subplots_adjust(wspace=gap / (wide - gap), hspace=gaps[-1] / (high - gaps[-1]))


def _columns(figure: Figure) -> tuple[list[Axes], list[Axes]]:
    """The panels of the first column, and the others."""
    places = [(axes.get_subplotspec(), axes) for axes in figure.axes]
    panels = [(place.colspan.start, axes) for place, axes in places if place is not None]
    return [axes for column, axes in panels if not column], [axes for column, axes in panels if column]


def _room(axes: Axes) -> float:
    """Inches at the left of a panel: its ticks' names by their length, and the axis' name."""
    low, high = sorted(axes.get_ylim())
    ticks = [tick for tick in axes.get_yticks() if low <= tick <= high]
    names = axes.yaxis.get_major_formatter().format_ticks(ticks)
    if not axes.yaxis.get_tick_params().get("labelleft", True):
        names = []
    widest = max((len(name) - 0.5 * name.count(".") for name in names), default=0.0)
    return 0.1 + 0.08 * widest + (0.21 if axes.get_ylabel() else 0.0)


def line(place: int) -> dict[str, Any]:
    """How the curve at a place is drawn: each colour in turn, and then again in dashes and in dots."""
    style = ("-", "--", ":")[place // len(CURVES) % 3]
    return {"color": CURVES[place % len(CURVES)], "linestyle": style}


def short(name: str, length: int = 26) -> str:
    """What a figure has room for of a name that somebody gave: spelt out as on the page, on one line, a long
    one by its end, which tells it apart."""
    name = " ".join(visible(name).split("\n"))
    return name if len(name) <= length else f"…{name[1 - length :]}"


def inline_svg(figure: Figure, name: str, label: str) -> Html:
    """The figure as one svg element. name: begins its ids, which are then nobody else's; label: what it
    shows, with its key numbers, for those who don't see it. To be called in `drawing()`."""
    stream = io.StringIO()
    FigureCanvasSVG(figure).print_svg(stream, metadata={"Date": None})  # type: ignore[no-untyped-call]
    root = ElementTree.fromstring(visible(stream.getvalue()))  # whatever text it holds, it is XML
    _strip(root)
    for each in root.iter():
        _attributes(each)
    _rename(root, name)
    size = [float(root.attrib[side].removesuffix("pt")) * _PX_PER_PT for side in ("width", "height")]
    root.attrib |= {
        "class": "plot",
        "role": "img",
        "aria-label": visible(label),
        "width": f"{size[0]:.0f}",
        "height": f"{size[1]:.0f}",
        "stroke-linejoin": "round",
        "stroke-linecap": "butt",
    }
    return Html(ElementTree.tostring(root, encoding="unicode"))


def _strip(root: ElementTree.Element) -> None:
    """Without namespaces, which HTML has no need of, metadata, and a style sheet of its own."""
    for parent in root.iter():
        parent.tag = _local(parent.tag)
        parent.attrib = {_local(key): value for key, value in parent.attrib.items()}
        for child in list(parent):
            if _local(child.tag) in ("metadata", "style"):
                parent.remove(child)
    for key in ("version", "space"):
        root.attrib.pop(key, None)


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _attributes(each: ElementTree.Element) -> None:
    """Style as attributes, stand-ins as classes, coordinates to a hundredth of a point."""
    found = (entry.partition(":") for entry in each.attrib.pop("style", "").split(";"))
    styled = {key.strip(): value.strip() for key, _, value in found}
    classes = []
    for key, value in styled.items():
        if key in _DRAWN and value in STAND_INS:
            classes.append(f"{key}-{STAND_INS[value]}")
        elif _KEPT.fullmatch(key):
            each.attrib[key] = value.removesuffix("px")
    if each.attrib.get("id", "").startswith(HALO):
        classes.append(HALO)
    if classes:
        each.attrib["class"] = " ".join(classes)
    for key in each.attrib.keys() & set(_PLACED) if each.tag != "image" else ():
        each.attrib[key] = _LONG.sub(_short, " ".join(each.attrib[key].split()))
    each.text, each.tail = (None if not (s and s.strip()) else s for s in (each.text, each.tail))


def _short(number: re.Match[str]) -> str:
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".")


def _rename(root: ElementTree.Element, name: str) -> None:
    """Ids that something refers to begin with `name`; the others go."""
    wanted: dict[str, str] = {}
    for each in root.iter():
        for value in each.attrib.values():
            for key in re.findall(r"^#(.+)|url\(#(.+?)\)", value):
                wanted.setdefault(key[0] or key[1], f"{name}-{len(wanted)}")
    for each in root.iter():
        if (own := each.attrib.pop("id", None)) in wanted:
            each.attrib["id"] = wanted[own]
        for key, value in each.attrib.items():
            if value.startswith("#") and value[1:] in wanted:
                each.attrib[key] = f"#{wanted[value[1:]]}"
            elif value.startswith("url(#"):
                each.attrib[key] = f"url(#{wanted[value[5:-1]]})"
