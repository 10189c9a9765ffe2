"""Table 1 as files of a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from oddsound.report.formats import to_csv, to_markdown
from oddsound.report.page import to_html
from oddsound.report.table1 import Table1
from oddsound.training.bundle import write_atomically


def write_table1(
    table: Table1, folder: Path, notes: Sequence[str] = (), command: str = ""
) -> tuple[Path, Path, Path]:
    """Write table1.csv, table1.md and table1.html into `folder`, which is made; return their paths.

    Each is whole or as it was before. notes: facts of the search, a line each; command: what made the
    table. The same arguments give the same bytes. Raises OSError where the folder can't be written to.
    """
    contents = {
        "table1.csv": to_csv(table),
        "table1.md": to_markdown(table, notes, command),
        "table1.html": to_html(table, notes, command),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        write_atomically(folder / name, content.encode("utf-8", "backslashreplace"))
    return folder / "table1.csv", folder / "table1.md", folder / "table1.html"
