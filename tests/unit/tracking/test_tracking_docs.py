"""docs/tracking.md names every tag, alias and metric that the code writes."""

from __future__ import annotations

import re
from pathlib import Path

import oddsound
from oddsound.tracking.registry import CHALLENGER, CHAMPION
from oddsound.tracking.systems import NEWEST
from oddsound.training.usage import Usage

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "tracking.md").read_text()
TAG = re.compile(r'"(oddsound\.[a-z_0-9]+)"')


def test_every_tag_is_named() -> None:
    sources = "".join(path.read_text() for path in Path(oddsound.__file__).parent.glob("tracking/*.py"))
    tags = set(TAG.findall(sources))
    assert len(tags) > 20
    assert not {tag for tag in tags if f"`{tag}`" not in PAGE}


def test_every_tag_that_is_named_is_written() -> None:
    sources = "".join(path.read_text() for path in Path(oddsound.__file__).parent.glob("tracking/*.py"))
    named = set(re.findall(r"`(oddsound\.[a-z_0-9]+)`", PAGE))
    assert not {tag for tag in named if f'"{tag}"' not in sources}


def test_aliases_and_what_an_epoch_measures_are_named() -> None:
    for name in (CHAMPION, CHALLENGER, NEWEST, *Usage().metrics()):
        assert f"`{name}`" in PAGE


def test_every_picture_is_there() -> None:
    pictures = re.findall(r"\]\((mlflow/[a-z]+\.png)\)", PAGE)
    assert len(pictures) >= 6
    assert all((ROOT / "docs" / picture).is_file() for picture in pictures)
