"""`oddsound refit`: the chosen trials again, on more recordings."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from oddsound.cli.options import machines_option, run_options
from oddsound.cli.run import run_all
from oddsound.cli.talking import typed
from oddsound.cli.wanted import Choice, Effort, Wanted, choice_options, effort_options, system_options

if TYPE_CHECKING:
    from oddsound.config import TrialConfig
    from oddsound.scoring.threshold import Method

SPACES = "configurations"
_NO_SEARCH = {"asha": False, "asha_grace": None, "asha_reduction": None, "warm_start": None}


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The new run's folder.")
@machines_option("all that RUN and DATA have")
@choice_options
@system_options
@effort_options
@run_options(n_trials=None, searches=False)
def refit(
    run: Path,
    data: Path,
    out: Path,
    machines: list[str] | None,
    top_k: int,
    metric: str,
    searches: tuple[str, ...],
    strict: bool,
    fusions: tuple[str, ...] | None,
    threshold: Method,
    resamples: int,
    splits: int,
    **options: Any,
) -> None:
    """Train the best trials of RUN anew on the recordings in DATA, and write the submission.

    \b
      oddsound run data/dcase2021/dev_data --out runs/dev
      oddsound refit runs/dev data/dcase2021 --out runs/final --authors authors.yaml

    The evaluation set's way: what was chosen on the development sections is trained on the development
    and the additional training clips of all sections (00-05), and scores the evaluation clips. Each
    configuration is trained once, as it is, with its own seed, by the same workers as a search; the same
    command again, or `oddsound search --resume OUT`, does only what is missing.
    """
    from functools import partial

    from oddsound.cli.submit import submit_run

    _refuse_early(run, out, options)
    chosen = _configurations(run, data, machines, Choice(top_k, metric, searches, strict))
    _write(chosen, run, out)
    options |= _NO_SEARCH | {"spaces": out.absolute() / SPACES, "trials": sys.maxsize}
    wanted = Wanted(Choice(top_k), fusions, threshold, Effort(resamples, splits))
    run_all(data, out, list(chosen), partial(submit_run, wanted=wanted), **options)


def _refuse_early(run: Path, out: Path, options: dict[str, Any]) -> None:
    """Whatever can be refused before anything is written below `out`."""
    from oddsound.cli.settings import overrides
    from oddsound.errors import ConfigError
    from oddsound.submission.authors import read_authors

    if out.resolve() == run.resolve():
        raise ConfigError(f"--out {out}: is RUN itself; give the new run a folder of its own")
    if (out / "run.json").is_file() and not (out / SPACES).is_dir():
        raise ConfigError(f"--out {out}: is another run's folder; give the new run one of its own")
    read_authors(options["authors"])
    overrides(options)


def _configurations(
    run: Path, data: Path, machines: list[str] | None, choice: Choice
) -> dict[str, list[TrialConfig]]:
    """By machine type of both RUN and DATA what is to be trained, the best first."""
    from oddsound.cli.choosing import checked, configurations
    from oddsound.cli.recordings import index_layout
    from oddsound.cli.stages import searched, tracking
    from oddsound.errors import ConfigError
    from oddsound.search.record import read_record
    from oddsound.tracking.warm_start import config_of

    record = read_record(run)
    known = searched(run, record)
    there = index_layout(data, machines).machines
    if unknown := sorted(set(machines or ()) - set(known)):
        raise ConfigError(f"--machines {unknown[0]}: no finished trial of it in {run}; it has {_list(known)}")
    both = [machine for machine in known if machine in there]
    if not both:
        raise ConfigError(f"{data}: has {_list(there)}, {run} has trials of {_list(known) or 'nothing'}")
    store = tracking(run, record)
    choice = checked(choice, store)
    return {m: [config_of(t) for t in configurations(store, record, m, choice)] for m in both}


def _write(chosen: dict[str, list[TrialConfig]], run: Path, out: Path) -> None:
    """The search space of each machine type, below `out`: nothing but what was chosen.

    Raises ConfigError where `out` was begun with another choice.
    """
    from oddsound.errors import ConfigError
    from oddsound.training.bundle import write_atomically

    files = {out / SPACES / f"{machine}.yaml": _text(run, configs) for machine, configs in chosen.items()}
    for path, text in files.items():
        if path.is_file() and path.read_text() != text and (out / "run.json").is_file():
            raise ConfigError(
                f"{path}: the best trials of {run} are others than when this was begun; give another --out, "
                f"or go on with `{typed('search', '--resume', out)}`"
            )
    (out / SPACES).mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        write_atomically(path, text.encode())


def _text(run: Path, configs: Sequence[TrialConfig]) -> str:
    import yaml

    listed = [config.model_dump(exclude_defaults=True, exclude={"machine"}) for config in configs]
    return f"# The best trials of {run.name}, the best first.\n" + yaml.safe_dump({"configurations": listed})


def _list(names: Sequence[str]) -> str:
    return ", ".join(names)
