"""Recordings of one's own machines, in plain folders: `oddsound data prepare`, and `check` of such."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from oddsound.cli.options import machines_option
from oddsound.cli.recordings import (
    machines_words,
    preparing_of,
    recordings_options,
    refuse_inside,
    settings_of,
)
from oddsound.cli.talking import talk, typed, warn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oddsound.recordings.plain.check import Checked, PlainCount


@click.command()
@click.argument("source", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("folder", metavar="OUT", type=click.Path(path_type=Path))
@recordings_options
@machines_option("all that DIR has")
def prepare(source: Path, folder: Path, machines: list[str] | None, **options: Any) -> None:
    """Lay out recordings of your own machines in OUT as clips to train on and to test with.

    \b
      oddsound data prepare my_machines/ data/mine
      oddsound data prepare my_machines/ data/mine --resample --clip-seconds 5
      oddsound data prepare my_machines/ data/mine --sample-rate 48000

    DIR has <machine>/normal/ and, to measure with, <machine>/anomaly/, each with .wav at any depth; or
    <machine>/*.wav, all of them normal; or it is one machine's folder itself. Every fifth normal recording
    is kept for the test (of fewer than five, the last part of each). Where there is no anomalous
    recording, faults are laid over the normal test clips, and that is said. OUT/clips.csv tells
    which clip is of which recording. `oddsound run DIR` does the same within its run folder.
    """
    from oddsound.cli.clip_progress import ClipProgress
    from oddsound.errors import DataError
    from oddsound.recordings.plain import PREPARED, is_plain, prepare

    if not is_plain(source, machines):
        raise DataError(
            f"{source}: no plain folders; expected <machine>/normal/ and <machine>/anomaly/, or "
            "<machine>/*.wav. A layout of the challenge needs no preparing"
        )
    refuse_inside(source, folder, PREPARED)
    with ClipProgress("clips") as told:
        made = prepare(
            source, folder, preparing_of(options), machines, lambda _, done, total: told(done, total)
        )
    for note in made.notes:
        warn(note)
    click.echo(made.folder)
    talk(f"next        {typed('run', made.folder, *settings_of(options), '--out', 'RUN')}")


def check_plain_folders(
    folder: Path, machines: list[str] | None, options: dict[str, Any], *, as_json: bool
) -> None:
    """Print what plain folders hold. Raises DataError where a recording or a machine's folder is bad."""
    from oddsound.errors import DataError
    from oddsound.recordings.names import counted
    from oddsound.recordings.plain.check import check_plain

    checked = check_plain(folder, preparing_of(options), machines)
    click.echo(_json(folder, checked) if as_json else _table(checked.counts))
    for line in (*(reason for _, reason in checked.bad), *checked.notes):
        warn(line)
    good = sum(count.n_recordings for count in checked.counts)
    if checked.bad:
        raise DataError(bad_of(folder, len(checked.bad), good))
    with_anomalies = {count.machine for count in checked.counts if count.label == "anomaly"}
    for machine in sorted({count.machine for count in checked.counts} - with_anomalies):
        warn(f"{machine}: no anomalous recording; faults would be laid over normal ones")
    words = [*machines_words(machines), *(["--resample"] if options["resample"] else [])]
    words += ["--clip-seconds", f"{options['clip_seconds']:g}"] if options["clip_seconds"] is not None else []
    command = typed("run", folder, *words, *settings_of(options), "--out", "RUN")
    talk(f"{counted(good, 'recording')}, all good. Next: {command}")


def bad_of(folder: Path, n_bad: int, n_good: int) -> str:
    """The last line of a check that found something."""
    what = f"{n_bad} of {n_bad + n_good} {'is' if n_bad == 1 else 'are'} bad"
    return f"{folder}: {what}; the lines above say why, and what to do"


def _table(counts: Sequence[PlainCount]) -> str:
    from oddsound.cli.columns import columns

    rows = [["machine", "label", "recordings", "clips", "seconds", "shortest", "longest"]]
    for count in counts:
        seconds = (f"{value:.4g}" for value in (count.seconds, count.min_seconds, count.max_seconds))
        rows.append([count.machine, count.label, str(count.n_recordings), str(count.n_clips), *seconds])
    return columns(rows, n_words=2)


def _json(folder: Path, checked: Checked) -> str:
    import json
    from dataclasses import asdict

    document = {
        "root": str(folder),
        "counts": [asdict(count) for count in checked.counts],
        "bad": [{"path": str(path), "reason": reason} for path, reason in checked.bad],
        "notes": checked.notes,
    }
    return json.dumps(document, indent=2)
