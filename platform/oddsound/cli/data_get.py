"""`oddsound data get`: the challenge's own archives, fetched and unpacked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from oddsound.cli.options import machines_option
from oddsound.cli.talking import talk, typed
from oddsound.recordings.archives.records import PARTS, RECORDS, SOURCE
from oddsound.recordings.names import counted

if TYPE_CHECKING:
    from oddsound.cli.download_progress import DownloadProgress
    from oddsound.recordings.archives.get import Found
    from oddsound.recordings.archives.listing import Archive
    from oddsound.recordings.archives.unpack import Unpacked


def _parts(_context: click.Context, _option: click.Parameter, value: str | None) -> list[str] | None:
    names = [name.strip() for name in (value or "").split(",") if name.strip()]
    if value is not None and not names:
        raise click.BadParameter("names no part")
    return names or None


@click.command()
@click.argument("challenge", type=click.Choice(list(RECORDS)), metavar="dcase2020…dcase2026")
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="The same as the argument DIR.")
@machines_option("all that the year has")
@click.option(
    "--parts",
    callback=_parts,
    metavar="A,B",
    help=f"Of {', '.join(PARTS)}: development, additional training and evaluation recordings, and the "
    "labels of the last.  [default: all that the year has]",
)
@click.option(
    "--source", default=SOURCE, show_default=True, metavar="URL", help="A mirror that has the same addresses."
)
@click.option("--keep-archives", is_flag=True, help="Leave the archives in DIR/.oddsound-archives.")
@click.option(
    "--dry-run", is_flag=True, help="Only list the archives, their sizes and what is there already."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document of the archives on stdout.")
def get(
    challenge: str,
    folder: Path | None,
    out: Path | None,
    machines: list[str] | None,
    parts: list[str] | None,
    source: str,
    keep_archives: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Fetch a year's archives and unpack them side by side in DIR.

    \b
    Examples:
      oddsound data get dcase2021 data/dcase2021 --dry-run
      oddsound data get dcase2021 data/dcase2021 --machines fan,valve --parts dev
      oddsound data get dcase2024 --out data/dcase2024

    Sizes and checksums are those of the record's own listing; nothing is unpacked before its checksum
    was seen to be right. The same command goes on where it was cut short and does only what is missing.
    Proxies and certificates: HTTPS_PROXY, REQUESTS_CA_BUNDLE.
    """
    from oddsound.cli.download_progress import DownloadProgress
    from oddsound.recordings.archives.get import look
    from oddsound.recordings.archives.web import Web

    place = _one(folder, out)
    with DownloadProgress() as progress:
        web = Web(say=progress.say)
        found = look(web, challenge, place, machines=machines, parts=parts, source=source)
        counts: dict[Archive, Unpacked] = {}
        if not dry_run:
            _get(web, challenge, place, found, keep_archives, progress, counts)
    if as_json:
        click.echo(_json(challenge, place, found, counts, dry_run))
    elif dry_run:
        click.echo(_table(found))
    _end(place, found, counts, keep_archives, dry_run)


def _one(folder: Path | None, out: Path | None) -> Path:
    if folder is not None and out is not None and folder != out:
        raise click.UsageError("DIR and --out are the same; give one of them.")
    place = folder or out
    if place is None:
        raise click.UsageError("Missing argument 'DIR': the folder that the recordings are to be in.")
    return place


def _get(
    web: Any,
    challenge: str,
    place: Path,
    found: list[Found],
    keep: bool,
    progress: DownloadProgress,
    counts: dict[Archive, Unpacked],
) -> None:
    from oddsound.recordings.archives.get import get as get_all
    from oddsound.recordings.archives.get import gigabytes, n_bytes_missing

    def done(archive: Archive, unpacked: Unpacked) -> None:
        counts[archive] = unpacked
        left = f", {counted(unpacked.n_left, 'other')} left out" if unpacked.n_left else ""
        progress.say(f"{archive.key}: {counted(len(unpacked.files), 'file')}{left}")

    n_missing = sum(one.state != "unpacked" for one in found)
    if n_missing:
        fetch, disk = n_bytes_missing(found, keep)
        progress.say(
            f"{challenge}: {n_missing} of {len(found)} archives are missing; {gigabytes(fetch)} to fetch, "
            f"about {gigabytes(disk)} of disk needed"
        )
    get_all(web, challenge, place, found, keep=keep, progress=progress, done=done)


def _end(place: Path, found: list[Found], counts: dict[Archive, Unpacked], keep: bool, dry_run: bool) -> None:
    from oddsound.recordings.archives.get import gigabytes, n_bytes_missing
    from oddsound.recordings.archives.store import FOLDER

    if dry_run:
        fetch, disk = n_bytes_missing(found, keep)
        talk(f"{gigabytes(fetch)} to fetch, about {gigabytes(disk)} of disk needed; nothing was changed")
        return
    n_new = sum(unpacked.n_new for unpacked in counts.values())
    if keep and counts:
        talk(f"the archives are in {place / FOLDER}")
    said = f"{counted(n_new, 'file')} written" if counts else "already there, nothing to do"
    talk(f"{said}. Next: {typed('data', 'check', place)}")


def _json(
    challenge: str, place: Path, found: list[Found], counts: dict[Archive, Unpacked], dry_run: bool
) -> str:
    import json

    rows = []
    for one in found:
        archive = one.archive
        row: dict[str, Any] = {
            "archive": archive.key,
            "part": archive.part,
            "machine": archive.machine or None,
            "bytes": archive.size,
            "checksum": archive.checksum,
            "url": archive.url,
            "before": one.state,
            "bytes_there": one.n_fetched,
        }
        if not dry_run:
            unpacked = counts.get(archive)
            row["files"] = len(unpacked.files) if unpacked else 0
            row["files_new"] = unpacked.n_new if unpacked else 0
            row["left_out"] = unpacked.n_left if unpacked else 0
        rows.append(row)
    return json.dumps({"challenge": challenge, "root": str(place), "archives": rows}, indent=2)


def _table(found: list[Found]) -> str:
    from oddsound.cli.columns import columns
    from oddsound.recordings.archives.get import gigabytes

    rows = [["archive", "part", "machine", "size", "there"]]
    for one in found:
        there = f"{gigabytes(one.n_fetched)} of it" if one.state == "partial" else one.state
        rows.append(
            [
                one.archive.key,
                one.archive.part,
                one.archive.machine or "all",
                gigabytes(one.archive.size),
                there,
            ]
        )
    return columns(rows, n_words=3)
