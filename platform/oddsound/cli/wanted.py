"""What is asked of systems: which trials they are made of, how they are fused, judged and estimated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from oddsound.scoring.threshold import Method

Command = Callable[..., Any]


@dataclass(frozen=True)
class Choice:
    """`searches`: names of searches or folders of runs; none is the run's own. `strict`: `top_k` or none."""

    top_k: int = 5
    metric: str = "omega"
    searches: tuple[str, ...] = ()
    strict: bool = False


@dataclass(frozen=True)
class Effort:
    """`resamples` of the bootstrap, `splits` of the labelled clips in halves; 0 leaves that out."""

    resamples: int = 2000
    splits: int = 25


@dataclass(frozen=True)
class Wanted:
    """`fusions`: of the systems in their order, None for the paper's four."""

    choice: Choice = field(default_factory=Choice)
    fusions: tuple[str, ...] | None = None
    threshold: Method = "gamma"
    effort: Effort = field(default_factory=Effort)


def choice_options(command: Command) -> Command:
    """--top-k, --metric, --from and --strict: the fields of `Choice`."""
    return _with(
        command,
        click.option(
            "--top-k",
            default=5,
            show_default=True,
            type=click.IntRange(1),
            help="Trials of each machine type that are fused.",
        ),
        click.option(
            "--metric", default="omega", show_default=True, help="Which trials are best: by this of theirs."
        ),
        click.option(
            "--from",
            "searches",
            multiple=True,
            metavar="SEARCH",
            help="Take the trials of this search, its name or its run's folder, on the same recordings; can "
            "be given again.  [default: RUN's own]",
        ),
        click.option("--strict", is_flag=True, help="Refuse a machine type with fewer trials than --top-k."),
    )


def effort_options(command: Command) -> Command:
    """--resamples and --splits: the fields of `Effort`."""
    return _with(
        command,
        click.option(
            "--resamples",
            default=2000,
            show_default=True,
            type=click.IntRange(0),
            callback=_none_or(100),
            help="Of the bootstrap that gives the 95 % intervals; 0: none.",
        ),
        click.option(
            "--splits",
            default=25,
            show_default=True,
            type=click.IntRange(0),
            callback=_none_or(2),
            help="How often the labelled clips are split in halves, to choose on one and measure on the "
            "other; 0: not at all.",
        ),
    )


def system_options(command: Command) -> Command:
    """--fusions and --threshold."""
    return _with(
        command,
        click.option(
            "--fusions",
            callback=_names,
            metavar="A,B",
            help="One to four, the systems in their order; `oddsound ensemble` compares them all.  "
            "[default: the paper's best,mean,max,mean_softmax]",
        ),
        click.option(
            "--threshold",
            type=click.Choice(["gamma", "empirical"]),
            default="gamma",
            show_default=True,
            help="Where a section's decisions are made: at the 90th percentile of a gamma distribution "
            "fitted to its training clips' scores, or of these scores.",
        ),
    )


def _names(_context: click.Context, _option: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """Looked at before anything is trained."""
    if value is None:
        return None
    from oddsound.ensemble.systems import check_fusions

    names = tuple(name.strip() for name in value.split(",") if name.strip())
    check_fusions(names)
    return names


def _none_or(least: int) -> Callable[[click.Context, click.Parameter, int], int]:
    def check(_context: click.Context, _option: click.Parameter, value: int) -> int:
        if 0 < value < least:
            raise click.BadParameter(f"{value} are too few; give {least} at least, or 0 for none")
        return value

    return check


def _with(command: Command, *options: Callable[[Command], Command]) -> Command:
    for option in reversed(options):
        command = option(command)
    return command
