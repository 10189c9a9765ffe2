"""The `oddsound` command: its groups, and how errors end it."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import click

from oddsound import __version__
from oddsound.cli.compare import compare
from oddsound.cli.completion import completion
from oddsound.cli.config import config
from oddsound.cli.data import data
from oddsound.cli.demo import demo
from oddsound.cli.doctor import doctor
from oddsound.cli.ensemble import ensemble
from oddsound.cli.evaluate import evaluate
from oddsound.cli.features import features
from oddsound.cli.init import init
from oddsound.cli.plan import plan
from oddsound.cli.predict import predict
from oddsound.cli.pretrain import pretrain
from oddsound.cli.refit import refit
from oddsound.cli.register import register
from oddsound.cli.report import report
from oddsound.cli.run import run
from oddsound.cli.search import search
from oddsound.cli.serve import serve
from oddsound.cli.show import show
from oddsound.cli.status import status
from oddsound.cli.submission import submission
from oddsound.cli.submit import submit
from oddsound.cli.sync import sync
from oddsound.cli.table1 import table1
from oddsound.cli.talking import be_quiet
from oddsound.cli.trials import trials
from oddsound.errors import DataError, OddsoundError

_PACKAGE = Path(__file__).parents[1]


class _Overview(click.Group):
    """Its help is the overview: every command, in the order of the work, with what it does."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Nothing: the text above has them."""


_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(cls=_Overview, context_settings=_CONTEXT)
@click.version_option(__version__, prog_name="oddsound")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.option("--quiet", "-q", is_flag=True, help="No talk and no progress: warnings, errors and data alone.")
@click.pass_context
def oddsound(context: click.Context, /, debug: bool, quiet: bool) -> None:
    """Tune, ensemble and ship detectors of anomalous machine sounds.

    \b
    Begin
      oddsound demo                     everything, small, on synthetic machines
      oddsound doctor                   is this machine ready?
      oddsound init                     a YAML of one run, to fill in: run --file run.yaml
      oddsound config show              what a trial would be, and where each value is from
      oddsound config schema            JSON Schemas of the YAML files, for editors
      oddsound completion bash          the shell's completion; also zsh, fish

    \b
    Recordings
      oddsound data get YEAR DIR        the challenge's own recordings: dcase2020 ... dcase2026
      oddsound data check DATA          is this folder of recordings usable?
      oddsound data prepare DIR OUT     clips of your own machines' recordings
      oddsound data synth DIR           synthetic machines
      oddsound features DATA --cache C  the features that a search would build first

    \b
    Search
      oddsound plan DATA                how long would a search take?
      oddsound run DATA --out RUN       search, register, fuse, write the submission
      oddsound search DATA --out RUN    the search alone; --resume RUN goes on with one
      oddsound status RUN               done, running, failed, best, time left
      oddsound trials RUN               a row each: omega, AUC, what was searched
      oddsound show RUN TRIAL           everything of one trial
      oddsound compare A B              is one system better than another?
      oddsound table1 DATA              the paper's Table 1, line by line
      oddsound pretrain CORPUS          weights for the backbone, from a labelled sound corpus
      oddsound refit RUN DATA           the best trials again, on all recordings

    \b
    Use
      oddsound ensemble RUN             every fusion of the best trials, side by side
      oddsound register RUN             the best trials as versions of MLflow's models, again
      oddsound predict --model M DIR    score new clips with a registered model
      oddsound submit RUN               S1-S4 as the challenge's package
      oddsound submission check DIR     would the organisers take it?
      oddsound evaluate SCORES          AUC, pAUC and omega of score files
      oddsound report RUN               the search as one HTML page

    \b
    Servers
      oddsound sync RUN                 send MLflow what it lacks
      oddsound serve mlflow RUN         look at the trials in a browser
      oddsound serve account NAME       let a colleague into an MLflow with accounts
      oddsound serve optuna RUN         look at the studies in optuna-dashboard
      oddsound serve ray                a Ray head with a token, for several searches or machines

    stdout is data, stderr is talk. Exit codes: 0 done, 2 usage or settings, 3 data, 4 tracking,
    5 a search ended with failed trials, 130 interrupted, with how to go on.
    """
    if os.environ.get("NO_COLOR"):
        context.color = False
    be_quiet(quiet)
    context.call_on_close(lambda: be_quiet(False))


for _command in (
    demo,
    doctor,
    init,
    config,
    completion,
    data,
    features,
    plan,
    run,
    search,
    status,
    trials,
    show,
    compare,
    table1,
    pretrain,
    refit,
    ensemble,
    register,
    predict,
    submit,
    submission,
    evaluate,
    report,
    sync,
    serve,
):
    oddsound.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit. An error is one line; --debug shows where it comes from."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        sys.exit(oddsound.main(given, prog_name="oddsound", standalone_mode=False) or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(2)
    except click.ClickException as error:
        click.echo(_usage_line(error), err=True)
        sys.exit(2)
    except (KeyboardInterrupt, click.Abort):
        click.echo(f"oddsound: interrupted; {_how_to_go_on(given)}", err=True)
        sys.exit(130)
    except Exception as error:
        if "--debug" in given:
            traceback.print_exc()
        click.echo(f"oddsound: {_error_line(error)}", err=True)
        sys.exit(_exit_code(error))


def _exit_code(error: Exception) -> int:
    if isinstance(error, OddsoundError):
        return error.exit_code
    return DataError.exit_code if isinstance(error, OSError) else OddsoundError.exit_code


def _error_line(error: Exception) -> str:
    """What is wrong, where, what to do; of what nobody thought of, what to report."""
    text = "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in str(error))
    if isinstance(error, OddsoundError):
        return text
    if isinstance(error, OSError):
        return f"{error.filename or 'the output'}: {error.strerror or text}; free or mend it"
    places = [(Path(f.filename), f.lineno) for f in traceback.extract_tb(error.__traceback__)]
    ours = [f"{file.relative_to(_PACKAGE)}:{line}" for file, line in places if file.is_relative_to(_PACKAGE)]
    where = f" at {ours[-1]}" if ours else ""
    what = f"{type(error).__name__}: {' '.join(text.split())}".removesuffix(": ")
    return f"{what}{where}: a mistake of oddsound's; report it with what `oddsound --debug ...` shows"


_GO_ON = {"demo", "features", "pretrain", "refit", "register", "run", "search", "submit", "sync", "table1"}
_DATA_GO_ON = {"get", "prepare", "synth"}
"""What finds on disk, or in MLflow, what it had done."""


def _how_to_go_on(given: Sequence[str]) -> str:
    command, sub = ([word for word in given if not word.startswith("-")] + ["", ""])[:2]
    if command in _GO_ON or (command == "data" and sub in _DATA_GO_ON):
        return "the same command goes on from here"
    return "nothing was kept, the same command begins anew"


def _usage_line(error: click.ClickException) -> str:
    """What is wrong with the command line, of which command, and where its help is; click's own is four
    lines."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    path = context.command_path if context else "oddsound"
    near = getattr(error, "possibilities", None)
    what = " ".join((error.message if near else error.format_message()).split()).rstrip(".")
    remedy = f"did you mean {' or '.join(near)}?" if near else f"see `{path} --help`"
    where = path.partition(" ")[2]
    return f"oddsound: {f'{where}: ' if where else ''}{what[:1].lower()}{what[1:]}; {remedy}"
