"""The `oddsound` command: its groups, and how errors end it."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence

import click

from oddsound import __version__
from oddsound.cli.compare import compare
from oddsound.cli.data import data
from oddsound.cli.demo import demo
from oddsound.cli.ensemble import ensemble
from oddsound.cli.evaluate import evaluate
from oddsound.cli.plan import plan
from oddsound.cli.predict import predict
from oddsound.cli.pretrain import pretrain
from oddsound.cli.refit import refit
from oddsound.cli.report import report
from oddsound.cli.run import run
from oddsound.cli.search import search
from oddsound.cli.serve import serve
from oddsound.cli.status import status
from oddsound.cli.submission import submission
from oddsound.cli.submit import submit
from oddsound.cli.sync import sync
from oddsound.cli.table1 import table1
from oddsound.errors import DataError, OddsoundError


class _Commands(click.Group):
    """Lists its commands in the order of the work."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(cls=_Commands, context_settings=_CONTEXT)
@click.version_option(__version__, prog_name="oddsound")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def oddsound(debug: bool) -> None:
    """Tune, ensemble and ship detectors of anomalous machine sounds.

    \b
      oddsound demo                     everything, small, on synthetic machines
      oddsound data check DATA          is this folder of recordings usable?
      oddsound pretrain CORPUS          weights for the backbone, from a labelled sound corpus
      oddsound plan DATA                how long would a search take?
      oddsound run DATA --out RUN       search, register, fuse, write the submission
      oddsound search DATA --out RUN    the search alone; --resume RUN goes on with one
      oddsound status RUN               done, running, failed, best, time left
      oddsound table1 DATA              the paper's Table 1, line by line
      oddsound refit RUN DATA           the best trials again, on all recordings
      oddsound predict --model M DIR    score new clips with a registered model
      oddsound serve mlflow RUN         look at the trials in a browser
      oddsound ensemble RUN             every fusion of the best trials, side by side
      oddsound report RUN               the search as one HTML page
      oddsound submit RUN               S1-S4 as the challenge's package
      oddsound evaluate SCORES          AUC, pAUC and omega of score files
      oddsound compare A B              is one system better than another?

    stdout is data, stderr is talk. Exit codes: 0 done, 2 usage or settings, 3 data, 4 tracking,
    5 a search ended with failed trials, 130 interrupted: the same command goes on.
    """


for _command in (
    demo,
    data,
    pretrain,
    plan,
    run,
    search,
    status,
    table1,
    refit,
    sync,
    serve,
    predict,
    ensemble,
    report,
    submit,
    submission,
    evaluate,
    compare,
):
    oddsound.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit. Errors of ours are one line; --debug shows where they come from."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        sys.exit(oddsound.main(given, standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except OddsoundError as error:
        if "--debug" in given:
            traceback.print_exc()
        click.echo(f"oddsound: {error}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        if "--debug" in given:
            traceback.print_exc()
        click.echo(f"oddsound: {error.filename or ''}: {error.strerror or error}; free or mend it", err=True)
        sys.exit(DataError.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("oddsound: interrupted; the same command goes on from here", err=True)
        sys.exit(130)
