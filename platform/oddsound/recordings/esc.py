"""Corpora in the style of ESC-50 and ESC-10: K. J. Piczak, "ESC: Dataset for Environmental Sound
Classification", ACM Multimedia 2015."""

from __future__ import annotations

import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from oddsound.errors import DataError
from oddsound.recordings.labelled import Corpus, LabelledClip
from oddsound.recordings.names import shown
from oddsound.recordings.sound import probe_sound
from oddsound.recordings.tables import ESC_COLUMNS, Line, bad_line, listed, read_lines

_N_THREADS = 4


def read_esc(root: Path, table: Path) -> Corpus:
    """The corpus of an ESC-style table, its clips in the table's order. Raises DataError."""
    lines = list(read_lines(table))
    rows = list(_rows(table, lines))
    _refuse_contradictions(table, rows)
    paths = _find_audio(root, table, [name for name, *_ in rows])
    with ThreadPoolExecutor(_N_THREADS) as pool:
        headers = list(pool.map(probe_sound, paths))
    clips = tuple(
        LabelledClip(path, (category,), fold, 0.0, header.seconds)
        for path, header, (_, fold, _, category) in zip(paths, headers, rows, strict=True)
    )
    return Corpus(root, clips, False, tuple(sorted({category for *_, category in rows})))


def _rows(table: Path, lines: list[Line]) -> Iterable[tuple[str, int, str, str]]:
    """File name, fold, target and category of each line after the header."""
    header = lines[0][1] if lines else []
    missing = [column for column in ESC_COLUMNS if header.count(column) != 1]
    if missing:
        raise DataError(
            f"{shown(table)}: no column {missing[0]!r} (or twice) in its first line; "
            f"{', '.join(ESC_COLUMNS)} are needed"
        )
    at = [header.index(column) for column in ESC_COLUMNS]
    seen: dict[str, int] = {}
    for line, fields in lines[1:]:
        if len(fields) != len(header):
            raise bad_line(table, line, f"{len(fields)} fields under {len(header)} columns; correct it")
        name, fold, target, category = (fields[i] for i in at)
        if name != Path(name).name or not name.isprintable():
            raise bad_line(table, line, f"filename {name!r} is not a file's bare name; correct it")
        if not re.fullmatch("[0-9]{1,6}", fold):
            raise bad_line(table, line, f"fold {fold!r} is no whole number; correct it")
        if not category or not category.isprintable():
            raise bad_line(table, line, "has no category; fill it in or remove the line")
        if (first := seen.setdefault(name, line)) != line:
            raise bad_line(table, line, f"{name} stands in line {first} already; remove one of them")
        yield name, int(fold), target, category


def _refuse_contradictions(table: Path, rows: list[tuple[str, int, str, str]]) -> None:
    """Raises DataError unless there are two classes and each target is of one category, and back."""
    pairs = {(target, category) for _, _, target, category in rows}
    if len(pairs) < 2:
        raise DataError(f"{shown(table)}: clips of {len(pairs)} class(es); at least 2 are needed to learn")
    for i, what in ((0, "target"), (1, "category")):
        values = [pair[i] for pair in sorted(pairs)]
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            other = ("category", "target")[i]
            raise DataError(f"{shown(table)}: {what} {twice[0]!r} has more than one {other}; correct it")


def _find_audio(root: Path, table: Path, names: list[str]) -> list[Path]:
    places = (root / "audio", root, table.parent)
    paths = [next((p / name for p in places if (p / name).is_file()), None) for name in names]
    missing = [name for name, path in zip(names, paths, strict=True) if path is None]
    if missing:
        raise DataError(
            f"{shown(root)}: {len(missing)} of {len(names)} files of {table.name} are missing "
            f"({listed(missing)}); put them in {shown(root / 'audio')}, or remove their lines"
        )
    return [path for path in paths if path is not None]
