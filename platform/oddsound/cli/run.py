"""`oddsound run`: every stage, from recordings to checked submissions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from oddsound.cli.file_command import FileCommand, file_option
from oddsound.cli.options import machines_option, run_options
from oddsound.cli.talking import typed, warn

if TYPE_CHECKING:
    from oddsound.cli.stages import Drive
    from oddsound.recordings.index import DataIndex
    from oddsound.search.record import RunRecord
    from oddsound.search.run import Conduct
    from oddsound.search.space import SearchSpace
    from oddsound.search.told import Outcome
    from oddsound.submission.authors import Authors
    from oddsound.tracking.store import Store
    from oddsound.training.early_stops import Asha

Finish = Callable[[Path, "RunRecord", "Authors", Sequence[str]], None]
"""What is done with a run's folder once its search is over; the last are the pinned machine types."""


@click.command(cls=FileCommand)
@click.argument("data", type=click.Path(path_type=Path))
@file_option
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The run's folder.")
@machines_option("all that DATA has")
@run_options(n_trials=20)
def run(data: Path, out: Path, machines: list[str] | None, **options: Any) -> None:
    """Search, register, fuse and write the submission for the recordings in DATA.

    \b
      oddsound run data/dcase2021 --out runs/first
      oddsound run data/dcase2021 --out runs/fan --machines fan --trials 40 --epochs 100
      oddsound run data/dcase2021 --out runs/quick --config smoke --set training.epochs=3
      oddsound run my_machines --out runs/own --resample --clip-seconds 10
      oddsound run --file run.yaml --trials 40                  (see `oddsound init`)

    DATA has a layout of the challenge, or plain folders: <machine>/normal and, to measure with,
    <machine>/anomaly; or one machine's WAVs, all of them normal.

    The same command again does only what is missing; more --trials extend the search.
    """
    run_all(data, out, machines, submit_and_report, **options)


def submit_and_report(run: Path, record: RunRecord, authors: Authors, pinned: Sequence[str]) -> None:
    """The submission of what was searched, and the page of it all."""
    from oddsound.cli.report import report_at_end
    from oddsound.cli.submit import submit_run

    submit_run(run, record, authors, pinned)
    report_at_end(run)


def run_all(
    data: Path,
    out: Path,
    machines: list[str] | None,
    finish: Finish,
    space: str | None = None,
    **options: Any,
) -> None:
    """Every stage up to MLflow, then `finish` with what was searched.

    `space`: the one search space for all machine types; None takes each one's own. SIGINT and SIGTERM
    stop the search, which can be gone on with; a second one ends it at once.
    """
    prepare_ray(options["ray_address"], options["insecure"])  # before ray is imported
    from oddsound.chatter import kept_in
    from oddsound.cli import stages
    from oddsound.cli.recordings import index_recordings, of_one_section, refuse_inside
    from oddsound.cli.settings import overrides
    from oddsound.search.address import LOCAL
    from oddsound.search.driver import sole_driver
    from oddsound.search.interrupts import Interrupts
    from oddsound.search.resources import refuse_here
    from oddsound.submission.authors import read_authors

    out = out.absolute()  # workers have a folder of their own
    interrupts = Interrupts(go_on(out))
    with interrupts.handled():
        if options["ray_address"] == LOCAL:
            refuse_here(_conduct(options).resources)
        authors = read_authors(options["authors"])
        overlays = overrides(options)
        refuse_inside(data, out, "run.json")
        index = index_recordings(data, machines, out / "recordings", options, overlays)
        overlays = [*of_one_section(index, overlays), *overlays]
        spaces = wanted_spaces(index.machines, space, options["spaces"], overlays)
        stages.refuse_unusable(index, spaces)
        with sole_driver(out) as signs, kept_in(out):
            if signs.predecessor:
                stages.talk(f"taking over from {signs.predecessor}, which died")
            asked = {"space": space, **options}
            record, outcome = _search(index, spaces, out, asked, stages.Drive(signs, interrupts))
            if stages.searched(out, record):
                finish(out, record, authors, options["pinned"])
            stages.refuse_failures(outcome, out)


def wanted_spaces(
    machines: Sequence[str], space: str | None, folder: Path | None, overlays: Sequence[Mapping[str, Any]]
) -> list[SearchSpace]:
    """The search space of each machine type in `folder` (the shipped ones), or the one that is named
    `space` for all of them."""
    from oddsound.search.space import load_space, read_space, spaces_folder

    if space is None:
        return [load_space(machine, overlays, folder) for machine in machines]
    path = (folder or spaces_folder()) / f"{space}.yaml"
    return [read_space(machine, path, overlays) for machine in machines]


def prepare_ray(address: str, insecure: bool) -> None:
    """Ray's token, before ray is imported, and whether a cluster is there that takes it.

    Raises ConfigError where there is none, or none that a search may use.
    """
    from oddsound.search.address import knock
    from oddsound.search.auth import prepare_authentication, refuse_wrong_token

    note = prepare_authentication(address, insecure)
    if note:
        warn(note)
    knock(address)
    refuse_wrong_token(address)


def go_on(out: Path) -> str:
    return f"Go on with: {typed('search', '--resume', out)}"


def _search(
    index: DataIndex, spaces: list[SearchSpace], out: Path, options: dict[str, Any], drive: Drive
) -> tuple[RunRecord, Outcome]:
    """The stages up to MLflow, which write below `out`."""
    from oddsound.cli import stages
    from oddsound.cli.recordings import prepared_in
    from oddsound.cli.resume import as_asked
    from oddsound.cli.searching import search
    from oddsound.cli.submit import refuse_unknown
    from oddsound.cli.warm_start import first_points
    from oddsound.cli.weights import prepare_weights
    from oddsound.errors import Interrupted, TrackingError
    from oddsound.search.record import agree, known_uri, write_record
    from oddsound.tracking.store import canonical
    from oddsound.training.code_version import code_version

    uri = canonical(options["tracking_uri"]) if options["tracking_uri"] else known_uri(out)
    store = _opened(uri, out)
    given = _given_weights(options["weights"])
    spaces, weights = prepare_weights(spaces, given, out / "weights", store)
    digests = {machine: index.digest(machine) for machine in index.machines}
    asha = _asha(options)
    stages.refuse_no_rung(asha, spaces)
    first = first_points(options["warm_start"], spaces, store, out)
    asked = {
        space.machine: stages.begun_with(space, index, digests[space.machine], options["seed"], asha, first)
        for space in spaces
    }
    record = agree(
        out,
        stages.dataset_name(index.root),
        index.root,
        uri,
        asked,
        code_version(),
        accept_change=options["accept_change"],
        prepared=prepared_in(index, out),
    )
    if options["accept_change"] and record.changes:
        warn(f"accepted: {'; '.join(record.changes[-1]['what'])}")
    refuse_unknown(options["pinned"], record)
    ask = stages.Ask(options["trials"], options["seed"], _conduct(options), asha, first)
    cache = (options["cache"] or out / "features").absolute()
    plans = stages.prepare_features(index, spaces, digests, cache, ask, weights)
    record.wanted |= {plan.machine: plan.n_wanted for plan in plans}
    # What a resume asks for again is what got a cluster; the first command is better than none.
    begun, record.command = as_asked(options), record.command or as_asked(options)
    write_record(out, record)
    outcome, writer = search(
        plans, out, record, ask, drive, lambda: write_record(out, replace(record, command=begun))
    )
    if outcome.interrupted:
        raise Interrupted(f"the search was interrupted; the same command goes on from here. {go_on(out)}")
    if writer.problem:
        stages.tell_failures(outcome)
        raise TrackingError(
            f"{writer.problem}; every trial is in {out}, `{typed('sync', out)}` or the same command sends "
            "the rest"
        )
    return record, outcome


def _opened(uri: str | None, out: Path) -> Store | None:
    """The run's MLflow. A wrong address or wrong credentials end a run here, before the first trial; an
    address that was right when the run was begun may be away: None."""
    from oddsound.errors import AccessError, TrackingError
    from oddsound.search.record import known_uri
    from oddsound.tracking.store import open_store

    try:
        return open_store(uri, out / "mlflow")
    except TrackingError as error:
        if uri is None or uri != known_uri(out) or isinstance(error, AccessError):
            raise
        warn(f"{error}; the search goes on without")
        return None


def _asha(options: dict[str, Any]) -> Asha | None:
    """Raises ConfigError where ASHA's settings are given without it."""
    from oddsound.errors import ConfigError
    from oddsound.training.early_stops import Asha

    given = {
        name: options[f"asha_{option}"]
        for name, option in (("grace_epochs", "grace"), ("reduction", "reduction"))
        if options[f"asha_{option}"] is not None
    }
    if given and not options["asha"]:
        raise ConfigError("--asha-grace and --asha-reduction are settings of --asha; give that too")
    return Asha(**given) if options["asha"] else None


def _conduct(options: dict[str, Any]) -> Conduct:
    from oddsound.search.resources import Resources
    from oddsound.search.run import Conduct

    resources = Resources(
        cpus_per_trial=options["cpus_per_trial"],
        gpus_per_trial=options["gpus_per_trial"],
        memory_per_trial=options["memory_per_trial"],
        max_concurrent=options["max_concurrent"],
    )
    return Conduct(
        resources=resources,
        address=options["ray_address"],
        insecure=options["insecure"],
        retries=options["retries"],
        hang_s=options["hang_s"],
        stage=options["stage"].absolute() if options["stage"] else None,
        asha=_asha(options),
    )


def _given_weights(given: Sequence[str]) -> dict[str, Path]:
    """--weights NAME=FILE by name."""
    from oddsound.errors import ConfigError

    files = {}
    for each in given:
        name, equals, file = each.partition("=")
        if not (name and equals and file):
            raise ConfigError(f"--weights {each}: expected NAME=FILE, e.g. audioset=weights/cnn.pth")
        files[name] = Path(file)
    return files
