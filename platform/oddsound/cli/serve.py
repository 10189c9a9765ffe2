"""`oddsound serve`: MLflow, on a laptop or for a group; a run's studies; a Ray head."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from oddsound.cli.talking import talk

if TYPE_CHECKING:
    from oddsound.search.head import Head


@click.group()
def serve() -> None:
    """Start a server: MLflow, a run's studies in optuna-dashboard, a Ray head.

    \b
      oddsound serve mlflow runs/first
      oddsound serve optuna runs/first
      oddsound serve ray
    """


@serve.command()
@click.argument("database", metavar="[RUN|FILE.db]", type=click.Path(path_type=Path), required=False)
@click.option("--host", default="127.0.0.1", show_default=True, help="Beyond loopback only with --accounts.")
@click.option(
    "--port", type=click.IntRange(1, 65535), default=5000, show_default=True, help="Where it listens."
)
@click.option(
    "--accounts", is_flag=True, help="Nobody reads or writes without name, password and permission."
)
@click.option("--allowed-hosts", default="", help="Names that people type to get here, with commas.")
@click.option("--cors-origins", default="", help="Pages that may change something; default: https://NAME.")
@click.option(
    "--artifacts", metavar="s3://…|FOLDER", help="Where files lie; default: beside the sqlite file."
)
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="250 MB each.")
@click.option("--upgrade", is_flag=True, help="Bring the databases to this MLflow's schema, and end.")
def mlflow(
    database: Path | None,
    host: str,
    port: int,
    accounts: bool,
    allowed_hosts: str,
    cors_origins: str,
    artifacts: str | None,
    workers: int,
    upgrade: bool,
) -> None:
    """Serve the MLflow of a run folder, an sqlite file, or of MLFLOW_BACKEND_STORE_URI.

    \b
      oddsound serve mlflow runs/first
      oddsound serve mlflow --host 0.0.0.0 --accounts --allowed-hosts mlflow.lab.example \\
          --artifacts s3://oddsound/mlflow

    \b
    Secrets come from the environment, or from the files that these names with _FILE say:
      MLFLOW_BACKEND_STORE_URI          postgresql://user:password@host/mlflow
      ODDSOUND_ACCOUNTS_URI             postgresql://user:password@host/accounts
      MLFLOW_AUTH_ADMIN_PASSWORD        of `admin`, made at the first start; 12 characters or more
      MLFLOW_FLASK_SERVER_SECRET_KEY    32 characters or more, the same at every start
      AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY    of the object store

    Ctrl-C or SIGTERM ends it.
    """
    from oddsound.tracking.hosting import address, databases, process
    from oddsound.tracking.hosting.setup import Wish, set_up

    hosts, origins = _listed(allowed_hosts), _listed(cors_origins)
    wish = Wish(database, host, port, accounts, hosts, origins, artifacts, workers)
    setup = set_up(wish, os.environ)
    if upgrade:
        for uri in (setup.backend, setup.accounts or ""):
            databases.assert_open(uri)
        databases.upgrade(setup.backend, setup.accounts)
        talk(f"{setup.shown} has the schema of the installed MLflow")
        return
    where = address.probe_url(host, port)
    process.serve(setup, lambda: talk(f"MLflow for {setup.shown} on {where} (Ctrl-C ends it)"))


@serve.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=8080,
    show_default=True,
    help="On loopback, nowhere else.",
)
def optuna(run: Path, port: int) -> None:
    """Look at the studies of RUN in optuna-dashboard: parameters, their importances, the course of a search.

    \b
    Examples:
      oddsound serve optuna runs/first
      oddsound serve optuna runs/first --port 8081

    Needs `pip install 'oddsound[dashboard]'`. RUN/studies.journal is written when a search ends. Only this
    machine is answered, and nothing can be changed. Ctrl-C or SIGTERM ends it.
    """
    from oddsound.search.dashboard import serve_studies

    serve_studies(run, port, lambda where: talk(f"studies of {run} on {where} (Ctrl-C ends it)"))


@serve.command()
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="This machine's address that other nodes reach it by.",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=6379,
    show_default=True,
    help="Where nodes and searches ask.",
)
@click.option("--cpus", type=click.IntRange(0), help="Given to trials here.  [default: all]")
@click.option("--gpus", type=click.IntRange(0), help="Given to trials here.  [default: all]")
@click.option(
    "--dashboard",
    is_flag=True,
    help="Ray's dashboard and job server on 127.0.0.1:8265; needs oddsound[jobs].",
)
def ray(host: str, port: int, cpus: int | None, gpus: int | None, dashboard: bool) -> None:
    """Start a Ray head on this machine, with a token, for searches and for other nodes to join.

    \b
    Examples:
      oddsound serve ray                                   one machine, several searches
      oddsound serve ray --host 10.0.0.5 --cpus 0          a head for nodes that join, without trials
      oddsound search DATA --out RUN --ray-address 127.0.0.1:6379

    Prints the address; where the token lies is said beside it. Ray's ports listen on all addresses whatever
    --host says: the token is what guards them, a firewall all the more. Ctrl-C or SIGTERM ends it and what
    it began, no other Ray. Searches on it end with exit code 5 and can be gone on with.
    """
    from oddsound.search.head import Head, prepare_token, serve_head

    head = Head(host, port, cpus, gpus, dashboard)
    place, note = prepare_token()

    def started() -> None:
        click.echo(head.address)
        for line in _about(head, place, note):
            talk(line)

    serve_head(head, started)


def _about(head: Head, place: str, note: str) -> list[str]:
    """How searches and nodes find the head."""
    lines = [note] if note else []
    lines += [f"token       {place}; nodes and searches elsewhere need a copy with mode 600"]
    lines += [f"search      oddsound search DATA --out RUN --ray-address {head.address}"]
    lines += [f"join        RAY_AUTH_MODE=token ray start --address={head.address} --block"]
    lines += [f"dashboard   {head.dashboard_url}"] if head.dashboard else []
    return [*lines, "Ctrl-C ends it"]


def _listed(names: str) -> list[str]:
    return [name.strip() for name in names.split(",")] if names else []


@serve.command()
@click.argument("name")
@click.option(
    "--may",
    type=click.Choice(["read", "write"]),
    default="read",
    show_default=True,
    help="See everything, or add to it, too.",
)
@click.option(
    "--tracking-uri", required=True, help="The server that `oddsound serve mlflow --accounts` runs."
)
def account(name: str, may: str, tracking_uri: str) -> None:
    """Let the colleague NAME see everything on a server with accounts, or add to it, too.

    \b
      export MLFLOW_TRACKING_USERNAME=admin MLFLOW_TRACKING_PASSWORD=…
      oddsound serve account ada --tracking-uri https://mlflow.lab.example
      oddsound serve account ada --may write --tracking-uri https://mlflow.lab.example

    Asks for the password of a new account; where stdin is no terminal, its first line is the password.
    """
    from oddsound.errors import ConfigError
    from oddsound.tracking.hosting.accounts import RIGHTS, admit, has_account
    from oddsound.tracking.store import canonical

    uri = canonical(tracking_uri).rstrip("/")
    if not uri.startswith(("http://", "https://")):
        raise ConfigError(f"--tracking-uri {tracking_uri}: give http(s)://host of a server with accounts")
    password = None if has_account(uri, name) else _new_password()
    admit(uri, name, password, may)
    talk(f"{name}: {'new account, ' if password else ''}{RIGHTS[may]} on everything")


def _new_password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    return str(click.prompt("password of the new account", hide_input=True, confirmation_prompt=True))
