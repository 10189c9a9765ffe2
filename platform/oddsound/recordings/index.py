"""What recordings a data folder holds: machine types, their clips, their digest.

A machine folder is one that directly holds train/, test/, source_test/ or target_test/. It lies at
ROOT/<machine> or one level deeper (ROOT/dev_data/<machine>, ROOT/eval_data/<machine>); the same
machine type in both is one. A clip whose name has no attributes gets those of its machine folder's
attributes_NN.csv. Folders of further sounds (2025: supplemental/) are left alone.
"""

from __future__ import annotations

import hashlib
import shlex
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from oddsound.errors import DataError, FileNameError, RecordingError
from oddsound.recordings.attributes import read_attributes
from oddsound.recordings.clip import Clip, Domain, Label, Split
from oddsound.recordings.names import FOLDERS, did_you_mean, parse_clip, shown
from oddsound.recordings.reader import SAMPLE_RATE, check_clip, content_digest

BadFile = tuple[Path, str]
"""A path and why it can't be used, in one line that names it."""

LEFT_ALONE = ("supplemental", "supplementary")
_N_THREADS = 4
_N_NAMED = 3


@dataclass(frozen=True, slots=True)
class CountRow:
    """How many clips share a machine type, section, domain, split and label."""

    machine: str
    section: str
    domain: Domain
    split: Split
    label: Label | None
    n_clips: int


@dataclass(frozen=True)
class DataIndex:
    """The clips of a data folder, sorted by machine type, folder and name."""

    root: Path
    clips: tuple[Clip, ...]

    @property
    def machines(self) -> tuple[str, ...]:
        return tuple(sorted({clip.machine for clip in self.clips}))

    def of(self, machine: str) -> tuple[Clip, ...]:
        """The clips of one machine type. Raises DataError where there is no such machine type."""
        clips = tuple(clip for clip in self.clips if clip.machine == machine)
        if not clips:
            raise _unknown(machine, self.machines, self.root)
        return clips

    def digest(self, machine: str) -> str:
        """SHA-256 over the (folder/name, SHA-256 of the content) of the machine type's clips.

        Changes with any byte, name or attribute, not with where the folder lies. Reads every file; raises
        DataError where one can't be read.
        """
        clips = self.of(machine)
        with ThreadPoolExecutor(_N_THREADS) as pool:
            contents = pool.map(content_digest, (clip.path for clip in clips))
            lines = sorted(
                f"{_key(clip)} {content}{_said_elsewhere(clip)}\n"
                for clip, content in zip(clips, contents, strict=True)
            )
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def counts(self) -> tuple[CountRow, ...]:
        """One row a machine type, section, domain, split and label that has clips, sorted."""
        groups = Counter((c.machine, c.section, c.domain, c.split, c.label) for c in self.clips)
        rows = (CountRow(*group, n_clips) for group, n_clips in groups.items())
        return tuple(sorted(rows, key=lambda r: (r.machine, r.section, r.domain, r.split, r.label or "~")))


def index_folder(root: Path, machines: Collection[str] | None = None) -> DataIndex:
    """The recordings below `root`, of these machine types or of all; opens none of them.

    Raises DataError where there is no such folder, no machine folder in it, an asked machine type
    missing, or any .wav that is no recording of a known layout or is there twice.
    """
    clips, bad = _scan(root, machines)
    if bad:
        named = " | ".join(reason for _, reason in bad[:_N_NAMED])
        more = f" | and {len(bad) - _N_NAMED} more" if len(bad) > _N_NAMED else ""
        check = f"`oddsound data check {shlex.quote(shown(root))}` lists them all"
        raise DataError(f"{shown(root)}: {len(bad)} bad: {named}{more}; {check}")
    return DataIndex(root, clips)


def check_folder(
    root: Path, sample_rate: int = SAMPLE_RATE, machines: Collection[str] | None = None
) -> tuple[DataIndex, list[BadFile]]:
    """Open every recording below `root`, or of these machine types: the index of the good ones, and all bad
    ones with reasons.

    Raises DataError only where there is no such folder, no machine folder in it, or an asked machine type
    is missing.
    """

    def reason(clip: Clip) -> str | None:
        try:
            check_clip(clip.path, sample_rate)
        except RecordingError as error:
            return str(error)
        return None

    clips, bad = _scan(root, machines)
    with ThreadPoolExecutor(_N_THREADS) as pool:
        reasons = list(pool.map(reason, clips))
    good = tuple(clip for clip, why in zip(clips, reasons, strict=True) if why is None)
    bad += [(clip.path, why) for clip, why in zip(clips, reasons, strict=True) if why is not None]
    taken = {clip.path for clip in clips} | {path for path, _ in bad}
    for path in sorted(set(root.rglob("*.wav")) - taken) if machines is None else ():
        parts = path.relative_to(root).parts
        if not any(part.startswith(".") for part in parts) and path.parent.name not in LEFT_ALONE:
            bad.append(
                (
                    path,
                    f"{shown(path)}: in no folder that a layout has; see docs/recordings.md, or move it away",
                )
            )
    return DataIndex(root, good), sorted(bad)


def _scan(root: Path, machines: Collection[str] | None) -> tuple[tuple[Clip, ...], list[BadFile]]:
    folders = _machine_folders(root)
    known = tuple(sorted({folder.name for folder in folders}))
    if machines is not None:
        if not machines:
            raise DataError(f"{shown(root)}: no machine type is asked for; name some of {_listed(known)}")
        for machine in sorted(set(machines) - set(known)):
            raise _unknown(machine, known, root)
    clips: list[Clip] = []
    bad: list[BadFile] = []
    for machine in known if machines is None else sorted(set(machines)):
        found, wrong = _machine_clips(machine, [folder for folder in folders if folder.name == machine])
        clips += found
        bad += wrong
    return tuple(clips), sorted(bad)


def _machine_folders(root: Path) -> list[Path]:
    if not root.is_dir():
        raise DataError(f"{shown(root)}: no such folder; give the folder that holds the machine types")
    try:
        if _holds_recordings(root):
            raise DataError(
                f"{shown(root)}: this is the folder of one machine type; give the one above it "
                f"({shown(root.resolve().parent)})"
            )
        found: list[Path] = []
        for child in _children(root, Path.is_dir):
            inner = [child] if _holds_recordings(child) else _children(child, Path.is_dir)
            found += filter(_holds_recordings, inner)
    except OSError as error:
        raise DataError(f"{shown(error.filename)}: can't be listed ({error.strerror}); check it") from error
    if not found:
        raise DataError(
            f"{shown(root)}: no machine type in it; expected <machine>/train/ and <machine>/source_test/, "
            "target_test/ or test/, here or one level deeper, or plain folders: <machine>/normal/*.wav. To "
            "try without: `oddsound data synth DIR`"
        )
    return found


def _holds_recordings(folder: Path) -> bool:
    return any((folder / name).is_dir() for name in FOLDERS)


def _children(folder: Path, wanted: Callable[[Path], bool]) -> list[Path]:
    return sorted(p for p in folder.iterdir() if not p.name.startswith(".") and wanted(p))


def _machine_clips(machine: str, folders: Iterable[Path]) -> tuple[list[Clip], list[BadFile]]:
    clips: dict[str, Clip] = {}
    bad: list[BadFile] = []
    for folder in folders:
        try:
            attributes = read_attributes(folder)
        except DataError as error:
            bad.append((folder, str(error)))
            continue
        for place in (folder / name for name in FOLDERS if (folder / name).is_dir()):
            found, wrong = _place_clips(machine, place, attributes, clips)
            clips |= found
            bad += wrong
    if not clips and not bad:
        bad = [(folder, f"{shown(folder)}: no .wav in it; remove the folder") for folder in folders]
    return [clips[key] for key in sorted(clips)], bad + _mixed(clips)


def _place_clips(
    machine: str, place: Path, attributes: Mapping[str, str], known: Mapping[str, Clip]
) -> tuple[dict[str, Clip], list[BadFile]]:
    """The clips of one folder, by their keys, that aren't `known` yet, and the bad ones."""
    clips: dict[str, Clip] = {}
    bad: list[BadFile] = []
    try:
        paths = _children(place, lambda path: path.suffix.lower() == ".wav")
    except OSError as error:
        return {}, [(place, f"{shown(place)}: can't be listed ({error.strerror}); check its permissions")]
    for path in paths:
        try:
            clip = parse_clip(path, machine, place.name)
        except FileNameError as error:
            bad.append((path, str(error)))
            continue
        key = _key(clip)
        if key in known:
            bad.append(
                (path, f"{shown(path)}: the same name as {shown(known[key].path)}; remove one of them")
            )
            continue
        clips[key] = clip if clip.attributes else replace(clip, attributes=attributes.get(key, ""))
    return clips, bad


def _mixed(clips: Mapping[str, Clip]) -> list[BadFile]:
    """Test clips of 2021's folders beside those of later years: AUC and pAUC are defined differently."""
    of_2021 = [clip for key, clip in clips.items() if key.startswith(("source_test/", "target_test/"))]
    later = [clip for key, clip in clips.items() if key.startswith("test/section_")]
    if not of_2021 or not later:
        return []
    what = f"in test/ as from 2022 on, beside {of_2021[0].path.parent.name}/ as in 2021"
    return [(later[0].path, f"{shown(later[0].path)}: {what}; keep the years apart")]


def _key(clip: Clip) -> str:
    """The clip's path below its machine folder, the same wherever that lies."""
    return f"{clip.path.parent.name}/{clip.file}"


def _said_elsewhere(clip: Clip) -> str:
    """The attributes that a table gave the clip; "" where its own name says them."""
    return "" if clip.path.stem.endswith(clip.attributes) else f" {clip.attributes}"


def _unknown(machine: str, known: Collection[str], root: Path) -> DataError:
    hint = did_you_mean(machine, known)
    return DataError(f"{shown(root)}: no machine type {machine!r}; {hint}there are: {_listed(known)}")


def _listed(names: Collection[str]) -> str:
    return ", ".join(shown(name) for name in names) or "none"
