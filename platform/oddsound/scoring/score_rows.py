"""The lines of the challenge's CSVs, read so strictly that a wrong file can't become a number.

A line is `file.wav,value`: no header, LF. The official evaluator compares sorted order and length
alone, so it scores a file with wrong names without a word. Here each name must be a recording's
name, of the section and domain that the CSV's own name says, once, and from 2021 on the numbers of the
names must run without a gap, which finds a missing row where there is no ground truth to compare.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite
from typing import Literal, NamedTuple

from oddsound.errors import FileNameError
from oddsound.recordings.clip import Layout
from oddsound.recordings.names import ScoreName, parse_score_name

Kind = Literal["anomaly_score", "decision_result", "ground_truth"]
_FILE = re.compile(
    r"(?P<kind>anomaly_score|decision_result|ground_truth)_(?P<machine>[A-Za-z0-9][A-Za-z0-9_-]*)"
    r"_(?:section_(?P<section>[0-9]{1,6})(?:_(?P<domain>source|target))?(?:_test)?"
    r"|id_(?P<id>[0-9]{2,6}))\.csv"
)
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_CRLF = "lines end in CRLF; write LF alone, e.g. by: sed -i 's/\\r$//' FILE"


class CellKey(NamedTuple):
    """Which machine type, section ("00") and domain a CSV is of, and in which year's naming.

    CSVs of 2022 and later hold all domains: domain "". Those of 2020 have "source", as their clips.
    """

    machine: str
    section: str
    domain: str
    layout: Layout = "2021"

    @classmethod
    def of(cls, machine: str, section: str, domain: str, layout: Layout) -> CellKey:
        """The CSV that a recording of this section and domain is listed in."""
        return cls(machine, section, "" if layout == "2022" else domain, layout)

    def file(self, kind: Kind) -> str:
        """The name of this cell's CSV: `anomaly_score_fan_section_00_source_test.csv`, from 2022 on
        `anomaly_score_fan_section_00_test.csv`, in 2020 `anomaly_score_fan_id_00.csv`."""
        if self.layout == "2020":
            return f"{kind}_{self.machine}_id_{self.section}.csv"
        domain = f"{self.domain}_" if self.layout == "2021" else ""
        return f"{kind}_{self.machine}_section_{self.section}_{domain}test.csv"


class Problem(NamedTuple):
    """What is wrong, in which file and line (from 1), and what to do."""

    file: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}"


@dataclass(frozen=True, slots=True)
class Row:
    """One line; `value` is the score, the decision or the label."""

    line: int
    file: str
    value: float
    name: ScoreName


@dataclass(frozen=True, slots=True)
class ScoreFile:
    """One CSV: where it was, of what it is, its rows in their order and how many lines it has."""

    where: str
    key: CellKey
    rows: tuple[Row, ...]

    @property
    def files(self) -> frozenset[str]:
        return frozenset(row.file for row in self.rows)


def parse_file_name(name: str) -> tuple[Kind, CellKey] | None:
    """What the name of a CSV says, or None where it is none of the challenge's."""
    match = _FILE.fullmatch(name)
    if match is None:
        return None
    kind: Kind = match["kind"]  # type: ignore[assignment]
    return kind, _key(match["machine"], match["section"], match["domain"], match["id"])


def _key(machine: str, section: str | None, domain: str | None, number: str | None) -> CellKey:
    if number is not None:
        return CellKey(machine, number, "source", "2020")
    return CellKey(machine, str(section).zfill(2), domain or "", "2021" if domain else "2022")


def inspect(content: bytes, where: str, kind: Kind, key: CellKey) -> tuple[ScoreFile, list[Problem]]:
    """The rows of a CSV that are sound and all that is wrong with it.

    `where` is the file as messages shall name it. Of a ground truth, CRLF is accepted: one of the
    organisers' own has it. Numbering is `gaps`' affair.
    """
    lines, problems = _lines(content, where, crlf_is_fine=kind == "ground_truth")
    rows: list[Row] = []
    seen: dict[str, int] = {}
    for number, text in enumerate(lines, start=1):
        row, what = _row(number, text, kind, key)
        if row is not None and row.file in seen:
            what = f"{row.file} stands twice, first in line {seen[row.file]}; remove one"
        if what:
            problems.append(Problem(where, number, what))
        elif row is not None:
            seen[row.file] = number
            rows.append(row)
    return ScoreFile(where, key, tuple(rows)), problems


def gaps(scores: ScoreFile, first: int | None = None) -> list[Problem]:
    """Where the numbers of the names don't run from `first` without a gap; None: from 0, from 2022 on 0 or 1.

    In all 42 development and all 42 evaluation CSVs of 2021 they do, for each label apart. From 2022 on
    some run through a whole CSV, and 2024's from 1. Names of 2020 are not looked at.
    """
    rows = [row for row in scores.rows if not row.name.is_of_2020]
    is_late = scores.key.layout == "2022"
    is_one_run = is_late and len({row.name.number for row in rows}) == len(rows)
    expected: dict[str, int] = {}
    problems = []
    for row in sorted(rows, key=lambda row: ("" if is_one_run else row.name.prefix, row.name.number)):
        run, number = "" if is_one_run else row.name.prefix, row.name.number
        begin = int(is_late and number == 1) if first is None else first
        missing = expected.get(run, begin)
        if number > missing:
            what = f"{row.name.prefix}_{missing:04d} is missing before {row.file}; add its row"
            problems.append(Problem(scores.where, row.line, what))
        elif number < begin:
            what = f"{row.file}: the year's recordings are numbered from {begin}; remove its row"
            problems.append(Problem(scores.where, row.line, what))
        expected[run] = max(begin, number + 1)
    return problems


def differences(scores: ScoreFile, expected: Iterable[str], what: str) -> list[Problem]:
    """The first file of `expected` that has no row, and the first row whose file isn't expected.

    `what` names the expectation: "the ground truth".
    """
    wanted = set(expected)
    problems = []
    surplus = [row for row in scores.rows if row.file not in wanted]
    if surplus:
        text = f"{surplus[0].file} is not in {what} ({len(surplus)} such rows); remove its row"
        problems.append(Problem(scores.where, surplus[0].line, text))
    missing = sorted(wanted - scores.files)
    if missing:
        text = f"the file ends without {missing[0]} of {what} ({len(missing)} such files); add its row"
        problems.append(Problem(scores.where, last_line(scores), text))
    return problems


def last_line(scores: ScoreFile) -> int:
    """The line after which the file ends; 1 where it has no row."""
    return scores.rows[-1].line if scores.rows else 1


def _lines(content: bytes, where: str, crlf_is_fine: bool) -> tuple[list[str], list[Problem]]:
    """The lines without their ends, and what is wrong with the file as a whole."""
    if not content:
        return [], [Problem(where, 1, "the file is empty; expected lines of file.wav,value")]
    problems = []
    if content.startswith(b"\xef\xbb\xbf"):
        problems.append(Problem(where, 1, "starts with a byte order mark; save as UTF-8 without it"))
        content = content[3:]
    if b"\r" in content:
        if not crlf_is_fine:
            line = content[: content.index(b"\r")].count(b"\n") + 1
            problems.append(Problem(where, line, _CRLF))
        content = content.replace(b"\r\n", b"\n")
    if not content.endswith(b"\n"):
        what = "the last line has no line end, so its number may be cut short; write the file again"
        problems.append(Problem(where, content.count(b"\n") + 1, what))
    text = content.removesuffix(b"\n").decode("utf-8", errors="backslashreplace")
    return text.split("\n"), problems


def _row(line: int, text: str, kind: Kind, key: CellKey) -> tuple[Row | None, str]:
    """The row, or None and what is wrong with the line."""
    parts = text.split(",")
    if len(parts) != 2 or not parts[0]:
        return None, f"{text[:80]!r} is not file.wav,value; write exactly a name, a comma and a number"
    file, written = parts
    try:
        name = parse_score_name(file)
    except FileNameError as error:
        hint = " (a header? remove the line)" if line == 1 and not _NUMBER.fullmatch(written) else ""
        return None, f"{error}{hint}"
    if key.layout != "2021" and name.is_of_2020 != (key.layout == "2020"):
        return None, f"{file} isn't named as in the year whose CSVs are named like this one; use one year's"
    if name.section != key.section or (key.domain and name.domain != key.domain):
        of_name, of_key = (", ".join(filter(None, (x.section, x.domain))) for x in (name, key))
        return None, f"{file} is of section {of_name}, this file of section {of_key}; move the row"
    value, wrong = _value(written, kind)
    return (None, f"{file}: {wrong}") if wrong else (Row(line, file, value, name), "")


def _value(written: str, kind: Kind) -> tuple[float, str]:
    if kind != "anomaly_score":
        what = f"{written[:40]!r} is neither 0 (normal) nor 1 (anomaly); write one of them"
        return (float(written), "") if written in ("0", "1") else (0.0, what)
    value = float(written) if _NUMBER.fullmatch(written) else float("nan")
    what = f"{written[:40]!r} is not a finite decimal number; score the clip again"
    return (value, "") if isfinite(value) else (0.0, what)
