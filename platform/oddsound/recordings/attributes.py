"""attributes_NN.csv, which lies beside train/ and test/ from 2022 on: what each recording's settings were.

A header `file_name,d1p,d1v,d2p,d2v,…`, then a line a recording: its path from the machine type's own
folder on, and names (p) and values (v) of its settings. Joined by underscores they are what the names of
recordings say after their number, where they say it.
"""

from __future__ import annotations

import re
from pathlib import Path

from oddsound.errors import DataError
from oddsound.recordings.names import shown
from oddsound.recordings.tables import bad_line, read_lines

_COLUMN = re.compile("d[0-9]{1,3}[pv]")


def read_attributes(folder: Path) -> dict[str, str]:
    """The attributes of the recordings in a machine type's folder by `train/name.wav`; {} without tables.

    Raises DataError, by file and line, for a table that isn't what is described above.
    """
    found: dict[str, str] = {}
    for table in sorted(folder.glob("attributes_*.csv")):
        lines = list(read_lines(table))
        header = lines[0][1] if lines else []
        if "file_name" not in header:
            raise DataError(f"{shown(table)}: no column file_name in its first line; replace or remove it")
        for line, fields in lines[1:]:
            if len(fields) != len(header):
                raise bad_line(table, line, f"{len(fields)} fields under {len(header)} columns; correct it")
            said = [
                text for name, text in zip(header, fields, strict=True) if _COLUMN.fullmatch(name) and text
            ]
            attributes = "_".join(said)
            if not attributes.isprintable():
                raise bad_line(table, line, "an attribute that can't be printed; correct it")
            found["/".join(fields[header.index("file_name")].split("/")[-2:])] = attributes
    return found
