"""Write the challenge's package: `task2/<label>/` for each system, a zip of it and one of each system.

A package is of one kind of clips. Where any machine type has evaluation clips (hidden labels), the
package is of evaluation clips, and a machine type without them is refused: a package of both kinds is
what nobody could evaluate. Otherwise it is of the labelled development test clips. Its CSVs are named as
in the year of the recordings.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from oddsound.ensemble.systems import System
from oddsound.errors import ScoreError, SubmissionError
from oddsound.scoring.score_rows import CellKey, Kind, inspect
from oddsound.scoring.table import UNKNOWN, ScoreTable
from oddsound.scoring.threshold import Method, section_thresholds
from oddsound.scoring.years import has_decisions, layout_of_table
from oddsound.submission.authors import LABEL, PLACEHOLDER, Authors
from oddsound.submission.meta import dump, meta_of

Clips = Literal["evaluation", "development"]
_NO_DATE = (1980, 1, 1, 0, 0, 0)
_OWN_ZIP = re.compile(rf"{LABEL.pattern}\.zip|[A-Za-z0-9-]+_[A-Za-z0-9-]+_task2\.zip")
_OWN_FILE = re.compile(r"(?:anomaly_score|decision_result)_.*\.csv|.*\.meta\.yaml|.*\.pdf")


@dataclass(frozen=True, slots=True)
class Submission:
    """What was written: `out/task2`, the zip beside it, the systems' labels and of which clips it is."""

    folder: Path
    archive: Path
    """All systems in one zip."""
    archives: tuple[Path, ...]
    """A zip of each system alone, in the order of `labels`."""
    labels: tuple[str, ...]
    machines: tuple[str, ...]
    clips: Clips
    n_clips: int
    """Clips scored by each system."""


def write_submission(
    systems: Sequence[System],
    out: Path,
    authors: Authors = PLACEHOLDER,
    source_code: str | None = None,
    method: Method = "gamma",
) -> Submission:
    """Write `out/task2/<label>/` and `out/<label>.zip` for each system, and `out/<Lastname>_<INST>_task2.zip`
    of all; decisions are made at thresholds of `method`.

    The same systems and authors give the same bytes. Everything is written beside and renamed, so
    there is a whole package or the one before, of which technical reports (*.pdf) are kept. Raises
    SubmissionError where the systems differ in machine types, a machine type lacks the package's kind
    of clips, a section has no training clips for its threshold, or `out/task2` holds anything else.
    """
    clips = kind_of_clips(systems)
    files = {
        authors.label(system.number): _files(system, clips, authors, source_code, method)
        for system in systems
    }
    if len(files) < len(systems):
        raise SubmissionError("two systems of one number; number them 1 to 4")
    folder, archive = out / "task2", out / f"{authors.team}_task2.zip"
    archives = tuple(out / f"{label}.zip" for label in files)
    out.mkdir(parents=True, exist_ok=True)
    _refuse_strangers(folder)
    with tempfile.TemporaryDirectory(prefix=".task2-", dir=out) as temporary:
        fresh = Path(temporary) / "task2"
        _write(fresh, files)
        _keep_reports(folder, fresh)
        packed = {archive: fresh, **{each: fresh / each.stem for each in archives}}
        for target, of in packed.items():
            _pack(fresh, of, Path(temporary) / target.name)
        for old in _zips(out):  # an old zip must never lie beside a newer folder
            old.unlink()
        _swap(fresh, folder, Path(temporary) / "before")
        for target in packed:
            (Path(temporary) / target.name).replace(target)
    n_clips = sum(int(_rows(of.table, clips).sum()) for of in systems[0].machines.values())
    return Submission(folder, archive, archives, tuple(files), tuple(systems[0].machines), clips, n_clips)


def _zips(out: Path) -> list[Path]:
    """Every zip that a package was ever written to."""
    return sorted(path for path in out.glob("*_task2*.zip") if _OWN_ZIP.fullmatch(path.name))


def kind_of_clips(systems: Sequence[System]) -> Clips:
    """Of which clips a package of these systems is. Raises SubmissionError as `write_submission` does."""
    if not systems or len({tuple(sorted(system.machines)) for system in systems}) > 1:
        raise SubmissionError("a package needs one to four systems of the same machine types")
    tables = [of.table for system in systems for of in system.machines.values()]
    clips: Clips = (
        "evaluation" if any(_rows(table, "evaluation").any() for table in tables) else "development"
    )
    for table in tables:
        if not _rows(table, clips).any():
            others = ", while other machine types have them" if clips == "evaluation" else ""
            raise SubmissionError(
                f"{table.machine}: no {clips} clips{others}; add its recordings or leave it out"
            )
    return clips


def _rows(table: ScoreTable, clips: Clips) -> NDArray[np.bool_]:
    is_hidden = table.label == UNKNOWN
    return np.asarray((table.split == "test") & (is_hidden if clips == "evaluation" else ~is_hidden))


def _files(
    system: System, clips: Clips, authors: Authors, source_code: str | None, method: Method
) -> dict[str, bytes]:
    """Name and content of each file of one system's folder."""
    meta = dump(meta_of(system, authors, source_code, method)).encode()
    files = {f"{authors.label(system.number)}.meta.yaml": meta}
    for of in system.machines.values():
        files |= dict(_csvs(of.table, clips, method))
    return files


def _csvs(table: ScoreTable, clips: Clips, method: Method = "gamma") -> Iterator[tuple[str, bytes]]:
    """The score and decision CSVs of one machine type; a decision is 1 above the section's threshold."""
    rows = _rows(table, clips)
    try:
        thresholds = section_thresholds(table.where(rows | (table.split == "train")), method=method)
    except ScoreError as error:
        raise SubmissionError(str(error)) from error
    chosen = table.where(rows)
    layout = layout_of_table(table)
    scores: dict[CellKey, list[tuple[str, float]]] = {}
    for file, section, domain, score in zip(
        chosen.file, chosen.section, chosen.domain, chosen.score, strict=True
    ):
        key = CellKey.of(table.machine, str(section), str(domain), layout)
        scores.setdefault(key, []).append((str(file), float(score)))
    for key, of_cell in sorted(scores.items()):
        scored = sorted(of_cell)
        yield _csv("anomaly_score", key, [f"{file},{score!r}\n" for file, score in scored])
        if has_decisions(layout):
            decided = [(file, int(score > thresholds[key.section])) for file, score in scored]
            yield _csv("decision_result", key, [f"{file},{decision}\n" for file, decision in decided])


def _csv(kind: Kind, key: CellKey, lines: list[str]) -> tuple[str, bytes]:
    """Name and content, read back by the check's own reader before anyone else has to."""
    name, content = key.file(kind), "".join(lines).encode()
    _, problems = inspect(content, name, kind, key)
    if problems:
        raise SubmissionError(str(problems[0]))
    return name, content


def _write(folder: Path, files: dict[str, dict[str, bytes]]) -> None:
    for label, of_system in files.items():
        (folder / label).mkdir(parents=True)
        for name, content in of_system.items():
            (folder / label / name).write_bytes(content)


def _refuse_strangers(folder: Path) -> None:
    """Whatever a package doesn't hold may be somebody's only copy: never replace it."""
    for path in sorted(folder.rglob("*")) if folder.exists() else ():
        parts = path.relative_to(folder).parts
        is_system = path.is_dir() and len(parts) == 1 and LABEL.fullmatch(parts[0])
        if not is_system and not (path.is_file() and len(parts) <= 2 and _OWN_FILE.fullmatch(path.name)):
            raise SubmissionError(f"{path}: not part of a package; move it away, or write to another folder")


def _keep_reports(before: Path, fresh: Path) -> None:
    for report in sorted(before.rglob("*.pdf")) if before.exists() else ():
        target = fresh / report.relative_to(before)
        if target.parent.is_dir():
            shutil.copyfile(report, target)


def _pack(folder: Path, part: Path, archive: Path) -> None:
    """A zip of `part` of `folder` that depends on names and contents alone."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as pack:
        for path in sorted(path for path in part.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(f"{folder.name}/{path.relative_to(folder).as_posix()}", _NO_DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            pack.writestr(entry, path.read_bytes())


def _swap(fresh: Path, folder: Path, before: Path) -> None:
    """Put `fresh` in the place of `folder`, which goes to `before`: two renames, undone if one fails."""
    if folder.exists():
        folder.rename(before)
    try:
        fresh.replace(folder)
    except OSError:
        if before.exists():
            before.rename(folder)
        raise
