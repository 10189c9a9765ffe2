"""`oddsound data`: fetch the challenge's recordings, look at a folder of them, or make a synthetic one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from oddsound.cli.data_get import get
from oddsound.cli.options import machines_option
from oddsound.cli.plain import bad_of, check_plain_folders, prepare
from oddsound.cli.recordings import machines_words, recordings_options, settings_of
from oddsound.cli.talking import talk, typed, warn

if TYPE_CHECKING:
    from oddsound.recordings.index import DataIndex
    from oddsound.recordings.reader import WaveHeader

_CLIPS = click.IntRange(1, 5000)
_COLUMNS = ("machine", "section", "domain", "split", "label", "clips", "seconds")


@click.group()
def data() -> None:
    """Fetch the challenge's recordings, look at a folder, prepare your own, or make synthetic ones."""


data.add_command(get)
data.add_command(prepare)


@data.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of a table.")
@recordings_options
@machines_option("all that DIR has")
def check(folder: Path, as_json: bool, machines: list[str] | None, **options: Any) -> None:
    """Open every recording below DIR: count the good ones, name the bad ones.

    \b
    Examples:
      oddsound data check data/
      oddsound data check data/ --json > counts.json
      oddsound data check my_machines/ --resample
      oddsound data check my_machines/ --sample-rate 48000

    Prints one row a machine type, section, domain, split and label, with the shortest and longest
    clip's seconds; of plain folders one a machine and label. Each bad file goes to stderr with its
    reason, as do a plain machine's folder that can't be used and recordings that lie where nothing is
    read; exit code 3 if any is bad.
    """
    from oddsound.cli.recordings import preparing_of, refuse_plain_options
    from oddsound.errors import DataError
    from oddsound.recordings.index import check_folder
    from oddsound.recordings.names import counted
    from oddsound.recordings.plain import is_plain
    from oddsound.recordings.reader import probe

    if is_plain(folder, machines):
        check_plain_folders(folder, machines, options, as_json=as_json)
        return
    refuse_plain_options(folder, options)
    index, bad = check_folder(folder, preparing_of(options).sample_rate, machines)
    headers = {clip.path: probe(clip.path) for clip in index.clips}
    rows = _rows(index, headers)
    click.echo(_json(folder, rows, bad) if as_json else _table(rows))
    for _, reason in bad:
        warn(reason)
    if two := sum(header.n_channels > 1 for header in headers.values()):
        have = "recording has" if two == 1 else "recordings have"
        warn(f"{two} {have} two channels; the first one is used")
    if bad:
        raise DataError(bad_of(folder, len(bad), len(index.clips)))
    command = typed("run", folder, *machines_words(machines), *settings_of(options), "--out", "RUN")
    talk(f"{counted(len(index.clips), 'recording')}, all good. Next: {command}")


@data.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--seconds", default=10.0, show_default=True, help="Length of a clip.")
@click.option("--train", type=_CLIPS, default=50, show_default=True, help="Source training clips a section.")
@click.option(
    "--target",
    type=click.IntRange(0, 5000),
    default=3,
    show_default=True,
    help="Target training clips a section.",
)
@click.option(
    "--test", type=_CLIPS, default=10, show_default=True, help="Test clips a section, domain and class."
)
@click.option("--seed", default=0, show_default=True, help="The same seed gives the same bytes.")
@click.option("--no-evaluation", is_flag=True, help="Leave out sections 03-05 and their ground truth.")
@machines_option("all seven")
def synth(
    folder: Path,
    seconds: float,
    train: int,
    target: int,
    test: int,
    seed: int,
    no_evaluation: bool,
    machines: list[str] | None,
) -> None:
    """Write synthetic machines to DIR, in the layout of DCASE 2021 Task 2.

    \b
    Examples:
      oddsound data synth data/
      oddsound data synth tiny/ --seconds 2 --train 8 --test 4 --machines fan,valve

    The same command goes on where it was cut short, and does nothing where it had finished. DIR must
    be new, empty, or of the same arguments.
    """
    from oddsound.recordings.synth import ALL_SEVEN, synthesise

    chosen = ALL_SEVEN if machines is None else machines
    n_clips = synthesise(
        folder,
        seconds=seconds,
        n_train_source=train,
        n_train_target=target,
        n_test=test,
        evaluation=not no_evaluation,
        machines=chosen,
        seed=seed,
        report=lambda machine, n: talk(f"{machine}: {n} clips"),
    )
    done = f"{n_clips} clips written" if n_clips else "already there, nothing to do"
    talk(f"{done}. Next: {typed('data', 'check', folder)}")


def _rows(index: DataIndex, headers: dict[Path, WaveHeader]) -> list[dict[str, Any]]:
    """The index's counts, with the shortest and longest clip of each row in s."""
    from dataclasses import asdict

    lengths: dict[tuple[object, ...], list[float]] = {}
    for clip in index.clips:
        group = (clip.machine, clip.section, clip.domain, clip.split, clip.label)
        lengths.setdefault(group, []).append(headers[clip.path].seconds)
    rows = []
    for count in index.counts():
        seconds = lengths[count.machine, count.section, count.domain, count.split, count.label]
        rows.append(asdict(count) | {"min_seconds": min(seconds), "max_seconds": max(seconds)})
    return rows


def _json(folder: Path, rows: list[dict[str, Any]], bad: list[tuple[Path, str]]) -> str:
    import json

    named = [{"path": str(path), "reason": reason} for path, reason in bad]
    return json.dumps({"root": str(folder), "counts": rows, "bad": named}, indent=2)


def _table(rows: list[dict[str, Any]]) -> str:
    """Columns as wide as their widest cell, numbers to the right."""
    lines = [list(_COLUMNS)]
    for row in rows:
        low, high = (f"{row[name]:.4g}" for name in ("min_seconds", "max_seconds"))
        words = [str(row[name] or "-") for name in _COLUMNS[:5]]
        lines.append([*words, str(row["n_clips"]), low if low == high else f"{low}-{high}"])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(w) if i >= 5 else cell.ljust(w)
            for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )
