"""`oddsound serve`: an MLflow server, on a laptop or for a group."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click


@click.group()
def serve() -> None:
    """Start a server."""


@serve.command()
@click.argument("database", metavar="[RUN|FILE.db]", type=click.Path(path_type=Path), required=False)
@click.option("--host", default="127.0.0.1", show_default=True, help="Beyond loopback only with --accounts.")
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True)
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
        click.echo(f"{setup.shown} has the schema of the installed MLflow", err=True)
        return
    where = address.probe_url(host, port)
    process.serve(
        setup, lambda: click.echo(f"MLflow for {setup.shown} on {where} (Ctrl-C ends it)", err=True)
    )


def _listed(names: str) -> list[str]:
    return [name.strip() for name in names.split(",")] if names else []


@serve.command()
@click.argument("name")
@click.option("--may", type=click.Choice(["read", "write"]), default="read", show_default=True)
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
    click.echo(f"{name}: {'new account, ' if password else ''}{RIGHTS[may]} on everything", err=True)


def _new_password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    return str(click.prompt("password of the new account", hide_input=True, confirmation_prompt=True))
