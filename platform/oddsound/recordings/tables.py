"""The tables of a labelled corpus: which CSVs of a folder are one, of which style, and their lines."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Literal

from oddsound.errors import DataError
from oddsound.recordings.names import shown

Style = Literal["esc", "audioset"]
Line = tuple[int, list[str]]
"""A line's number from 1 and its fields."""

ESC_COLUMNS = ("filename", "fold", "target", "category")
_DECIMAL = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
_N_NAMED = 3


def find_tables(path: Path) -> tuple[Path, Style, list[Path]]:
    """The corpus's folder, its style and its tables (ESC: one). Raises DataError where there are none."""
    root, candidates = _candidates(path)
    styles = {table: style for table in candidates if (style := _style(table))}
    found = sorted(set(styles.values()))
    if not found:
        raise DataError(
            f"{shown(path)}: no table of a labelled corpus in it; expected an ESC-style CSV "
            f"({', '.join(ESC_COLUMNS)}) or AudioSet's segments CSV (YTID, start, end, labels)"
        )
    if len(found) > 1 or (found == ["esc"] and len(styles) > 1):
        raise DataError(
            f"{shown(path)}: several tables ({listed(t.name for t in styles)}); give the one that is meant"
        )
    return root, found[0], list(styles)


def read_lines(table: Path) -> Iterator[Line]:
    """The lines of the CSV at `table` that are neither empty nor start with #, read strictly.

    Raises DataError where it isn't UTF-8, holds a NUL, or is wrongly quoted.
    """
    try:
        with table.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True, skipinitialspace=True)
            for fields in reader:
                if fields and not fields[0].startswith("#"):
                    yield reader.line_num, [text.strip() for text in fields]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(
            f"{shown(table)}: can't be read as CSV ({reason}); save it as UTF-8 with commas"
        ) from error


def number(text: str, what: str, table: Path, line: int) -> float:
    """`text` as a plain decimal, not below 0. Raises DataError."""
    if not _DECIMAL.fullmatch(text):
        raise bad_line(table, line, f"{what} {text[:40]!r} is no plain number; correct it")
    return float(text)


def bad_line(table: Path, line: int, what: str) -> DataError:
    return DataError(f"{shown(table)}:{line}: {what}")


def listed(names: Collection[str] | Iterator[str]) -> str:
    """The first few of `names`, and how many more there are."""
    known = list(names)
    more = f" and {len(known) - _N_NAMED} more" if len(known) > _N_NAMED else ""
    return ", ".join(shown(name) for name in known[:_N_NAMED]) + more


def _candidates(path: Path) -> tuple[Path, list[Path]]:
    """The corpus's folder and the CSVs that may be its tables."""
    if path.is_file():
        return (path.parent.parent if path.parent.name == "meta" else path.parent), [path]
    if not path.is_dir():
        raise DataError(f"{shown(path)}: no such folder; give the one that holds the corpus's CSV and audio")
    places = (path, path / "meta")
    return path, [table for place in places for table in sorted(place.glob("*.csv")) if table.is_file()]


def _style(table: Path) -> Style | None:
    """What the first line says; two of ESC's columns are enough, so that a missing one can be named."""
    _, fields = next(read_lines(table), (0, []))
    if len(set(fields) & set(ESC_COLUMNS)) >= 2:
        return "esc"
    is_segment = len(fields) == 4 and all(_DECIMAL.fullmatch(text) for text in fields[1:3])
    return "audioset" if is_segment else None
