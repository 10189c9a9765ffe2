"""The one parser of file names: what a DCASE Task 2 name of 2020 to 2026 says, and where it may lie.

2020  train/normal_id_NN_########.wav             test/{normal,anomaly}_id_NN_########.wav
      evaluation: test/id_NN_########.wav
2021  train/section_NN_{source,target}_train_normal_####[_attributes].wav
      {source,target}_test/section_NN_{source,target}_test_{normal,anomaly}_####[_attributes].wav
      evaluation: the same without the label word
2022  train/ and names as in 2021, but one test/ for both domains
      evaluation: test/section_NN_####.wav (or section_NN_test_####.wav), which hides the domain too

2023 to 2026 are as 2022 with section 00 alone. What follows the number may be empty, with or without
its underscore, and a section may be one digit: `section` is padded to two, the file's name stays.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from oddsound.errors import FileNameError
from oddsound.recordings.clip import Clip, Domain, Label, Layout, Split

FOLDERS = ("train", "test", "source_test", "target_test")
"""The folders of a machine type that hold its recordings."""

# Digits are bounded so that int() always takes them. No comma, quote or slash in what follows the
# number, because score files are bare `name,value` lines.
_NAME_2021 = re.compile(
    r"(?P<prefix>section_(?P<section>[0-9]{1,6})_(?P<domain>source|target)_(?P<split>train|test)"
    r"(?:_(?P<label>normal|anomaly))?)"
    r"_(?P<number>[0-9]{4,8})(?:_(?P<attributes>[^,\"/\\]*))?\.wav"
)
_NAME_2022 = re.compile(
    r"(?P<prefix>section_(?P<section>[0-9]{1,6})(?:_test)?)_(?P<number>[0-9]{4,8})_?\.wav"
)  # evaluation
_NAME_2020 = re.compile(
    r"(?P<prefix>(?:(?P<label>normal|anomaly)_)?id_(?P<section>[0-9]{2,6}))_(?P<number>[0-9]{8})\.wav"
)
_NAMES = (_NAME_2021, _NAME_2022, _NAME_2020)
_EXAMPLES = "section_00_source_test_normal_0000.wav (2021 on) or normal_id_00_00000000.wav (2020)"


@dataclass(frozen=True, slots=True)
class ScoreName:
    """A test recording's name as score files spell it; `prefix` is all that stands before the number.

    "section_03_source_test_0007.wav": section "03", domain "source", label None, number 7,
    prefix "section_03_source_test", attributes "". "section_03_0007.wav": domain "".
    """

    section: str
    domain: Domain
    label: Label | None
    number: int
    prefix: str
    attributes: str = ""

    @property
    def is_of_2020(self) -> bool:
        return not self.prefix.startswith("section_")


def parse_clip(path: Path, machine: str, folder: str) -> Clip:
    """The `Clip` that `path`'s name tells of, in the folder `folder` of machine type `machine`.

    Names of 2020 have no domain and get "source"; attributes stay as they are spelt. Raises
    FileNameError where the name is of no known layout or contradicts its folder.
    """
    name, split = _parse(path.name, str(path))
    if wrong := _contradiction(name, split, folder):
        raise FileNameError(f"{shown(path)}: {wrong}")
    in_folder: Split = "train" if folder == "train" else "test"
    return Clip(path, machine, name.section, name.domain, in_folder, name.label, name.attributes)


def parse_score_name(file: str) -> ScoreName:
    """What the name of a test recording says, without a folder. Raises FileNameError."""
    name, split = _parse(file, file)
    if split == "train":
        raise FileNameError(f"{shown(file)}: a training recording among test scores; remove its row")
    return name


def layout_of(clips: Iterable[Clip]) -> Layout:
    """The layout of one machine type's clips, told by their names and the folders of the test clips.

    Training clips alone look the same in 2021 and later: they are taken for 2021's.
    """
    layout: Layout = "2021"
    for clip in clips:
        if not clip.file.startswith("section_"):
            return "2020"
        if clip.split == "test" and (clip.path.parent.name == "test" or not clip.domain):
            layout = "2022"
    return layout


def section_in(file: str) -> str:
    """The section that a recording's name says, of training or test; "" where it is of no known layout."""
    try:
        return _parse(file, file)[0].section
    except FileNameError:
        return ""


def shown(name: str | Path) -> str:
    """`name` as it may stand in a message of one line, whatever bytes the file system holds."""
    text = str(name)
    return text if text.isprintable() else ascii(text)


def counted(n: int, what: str) -> str:
    """ "1 clip", "2 clips"."""
    return f"{n} {what}{'' if n == 1 else 's'}"


def did_you_mean(name: str, known: Collection[str]) -> str:
    """ "did you mean fan? " for "Fan", and "" where nothing known is near."""
    lower = {word.lower(): word for word in known}
    near = difflib.get_close_matches(name.lower(), lower, n=1)
    return f"did you mean {shown(lower[near[0]])}? " if near else ""


def _parse(file: str, where: str) -> tuple[ScoreName, Split | None]:
    """The name's parts and the split that it claims (None where names don't say: 2020, 2022's hidden)."""
    match = next((m for pattern in _NAMES if (m := pattern.fullmatch(file))), None)
    if match is None or not file.isprintable():
        raise FileNameError(
            f"{shown(where)}: not a recording's name of a known layout, such as {_EXAMPLES}; "
            "rename it or move it away"
        )
    parts = match.groupdict()
    no_domain = "source" if match.re is _NAME_2020 else ""
    name = ScoreName(
        section=parts["section"].zfill(2),
        domain=cast(Domain, parts.get("domain", no_domain)),
        label=cast(Label | None, parts.get("label")),
        number=int(parts["number"]),
        prefix=parts["prefix"],
        attributes=parts.get("attributes") or "",
    )
    return name, cast(Split | None, parts.get("split"))


def _contradiction(name: ScoreName, split: Split | None, folder: str) -> str | None:
    """What is wrong with this name in this folder, and what to do; None where they agree."""
    if split is None:
        homes: tuple[str, ...] = ("train", "test") if name.label == "normal" else ("test",)
    else:
        homes = ("train",) if split == "train" else (f"{name.domain}_test", "test")
    if split == "train" and name.label != "normal":
        return "a training recording must say normal; move it away or correct its name"
    if folder not in homes:
        return f"this name belongs in {'/ or '.join(homes)}/, not in {shown(folder)}/; move or rename it"
    return None
