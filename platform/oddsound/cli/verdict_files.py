"""What `oddsound predict` writes: CSV or JSON, to stdout or to a file."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from oddsound.training.verdicts import Verdict

COLUMNS = ("file", "machine", "section", "anomaly_score", "threshold", "decision")

Write = Callable[[Sequence["Verdict"]], None]


@contextlib.contextmanager
def writing(out: Path | None, *, as_json: bool, is_cut: bool = False) -> Iterator[Write]:
    """What writes verdicts to `out`, or to stdout, as they come; a file is whole or as it was before.
    `is_cut`: each with `start_s`."""
    with _stream(out) as stream, (_json if as_json else _csv)(stream, is_cut) as write:
        yield write


@contextlib.contextmanager
def _stream(out: Path | None) -> Iterator[IO[str]]:
    if out is None:
        # A file's name may be of any bytes; whether stdout takes them depends on the user's language.
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="surrogateescape")
        yield sys.stdout
        sys.stdout.flush()
        return
    partial = out.with_name(f"{out.name}.{os.getpid()}.partial")
    try:
        with partial.open("w", newline="", encoding="utf-8", errors="surrogateescape") as stream:
            yield stream
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def _csv(stream: IO[str], is_cut: bool) -> Iterator[Write]:
    rows = csv.writer(stream, lineterminator="\n")
    columns = (COLUMNS[0], "start_s", *COLUMNS[1:]) if is_cut else COLUMNS
    header = [columns]

    def write(verdicts: Sequence[Verdict]) -> None:
        rows.writerows(header)  # with the first verdicts: an error before them leaves stdout empty
        header.clear()
        # repr: a float's every digit, so that reading it back gives the same number.
        rows.writerows([_cell(getattr(v, column)) for column in columns] for v in verdicts)

    yield write


def _cell(value: object) -> str:
    return repr(value) if isinstance(value, float) else str(value)


@contextlib.contextmanager
def _json(stream: IO[str], is_cut: bool) -> Iterator[Write]:
    """One array; an object a clip, with `section_probabilities`."""
    separator = "[\n"

    def write(verdicts: Sequence[Verdict]) -> None:
        nonlocal separator
        for verdict in verdicts:
            document = asdict(verdict)
            if not is_cut:
                del document["start_s"]
            stream.write(separator + json.dumps(document, allow_nan=False))
            separator = ",\n"

    yield write
    stream.write("\n]\n")
