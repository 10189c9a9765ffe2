"""Synthetic machines in the layouts of other years: the clips of 2021's layout under other names.

2020  one domain, ids, evaluation clips `id_NN_########.wav`, eval_data_list.csv
2022  one test folder, evaluation clips that hide their domain, ground_truth_data and _domain
2023  section 00 alone, empty tails, attributes in attributes_00.csv
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from oddsound.recordings.clip import Clip
from oddsound.recordings.index import index_folder

GROUND_TRUTH = "ground_truth"


def relaid(data: Path, out: Path, year: str, machine: str = "fan") -> Path:
    """`out`, which holds one machine type of `data` (of 2021's layout) and its ground truth as in `year`."""
    lay: Callable[..., None] = {"2020": _as_2020, "2022": _as_2022, "2023": _as_2023}[year]
    lay(index_folder(data).of(machine), out, _labels(data))
    return out


def _labels(data: Path) -> dict[tuple[str, str], str]:
    """The label of each evaluation clip of `data`, by machine type and file."""
    found = {}
    for table in (data / GROUND_TRUTH).glob("ground_truth_*.csv"):
        for line in table.read_text().splitlines():
            file, label = line.split(",")
            found[table.name.split("_")[2], file] = label
    return found


def _copy(clip: Clip, out: Path, folder: str, file: str) -> None:
    place = out / clip.machine / folder
    place.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(clip.path, place / file)


def _append(path: Path, line: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as stream:
        stream.write(line + "\n")


def _as_2020(clips: tuple[Clip, ...], out: Path, labels: dict[tuple[str, str], str]) -> None:
    listed = out / GROUND_TRUTH / "eval_data_list.csv"
    _append(listed, clips[0].machine)
    for number, clip in enumerate(clip for clip in clips if clip.domain == "source"):
        word = f"{clip.label}_" if clip.label else ""
        file = f"{word}id_{clip.section}_{number:08d}.wav"
        _copy(clip, out, clip.split, file)
        if clip.label is None:
            _append(listed, f"{file},{clip.file},{labels[clip.machine, clip.file]}")


def _as_2022(clips: tuple[Clip, ...], out: Path, labels: dict[tuple[str, str], str]) -> None:
    for clip, file in _with_hidden(clips):
        _copy(clip, out, clip.split, file)
        if clip.label is None:
            table = f"ground_truth_{clip.machine}_section_{clip.section}_test.csv"
            domain = int(clip.domain == "target")
            truth = out / GROUND_TRUTH
            _append(truth / "ground_truth_data" / table, f"{file},{labels[clip.machine, clip.file]}")
            _append(truth / "ground_truth_domain" / table, f"{file},{domain}")


def _with_hidden(clips: tuple[Clip, ...]) -> Iterator[tuple[Clip, str]]:
    """Each clip and its name; those without a label are numbered through their section."""
    numbers: dict[str, int] = {}
    for clip in clips:
        if clip.label is not None:
            yield clip, clip.file
            continue
        number = numbers.get(clip.section, 0)
        numbers[clip.section] = number + 1
        yield clip, f"section_{clip.section}_{number:04d}.wav"


def _as_2023(clips: tuple[Clip, ...], out: Path, _labels: dict[tuple[str, str], str]) -> None:
    table = out / clips[0].machine / "attributes_00.csv"
    _append(table, "file_name,d1p,d1v")
    for number, clip in enumerate(clip for clip in clips if clip.section == "00"):
        stem = clip.path.stem.removesuffix(clip.attributes).removesuffix("_")
        _copy(clip, out, clip.split, f"{stem}_.wav")
        _append(table, f"{clip.machine}/{clip.split}/{stem}_.wav,vel,{number % 2}")
