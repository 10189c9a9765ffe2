"""What keeps a group's server alive, on the real PostgreSQL: accounts, backup, restore, upgrade, a kill."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.mlflow_server import ACCOUNTS, ADMIN_PASSWORD, mlflow_server
from tests.postgres import Postgres
from tests.unit.tracking.server_process import is_gone, processes_below
from tests.unit.tracking.small_bundles import small_bundle
from tests.unit.tracking.waiting import free_port, until

from oddsound.tracking.layout import Search
from oddsound.tracking.ranking import best_trials
from oddsound.tracking.store import open_store
from oddsound.tracking.sync import sync

pytestmark = pytest.mark.slow
ODDSOUND = Path(sys.executable).parent / "oddsound"


def oddsound(*words: str, said: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ODDSOUND, *words],
        env=os.environ | environment,
        input=said,
        capture_output=True,
        text=True,
        timeout=120,
    )


def backup(postgres: Postgres, uri: str, file: Path) -> None:
    subprocess.run([postgres.binaries / "pg_dump", "--format=custom", "--file", file, uri], check=True)


def restore(postgres: Postgres, file: Path, uri: str) -> None:
    options = ["--clean", "--if-exists", "--no-owner", "--exit-on-error"]
    subprocess.run([postgres.binaries / "pg_restore", *options, "--dbname", uri, file], check=True)


def content(postgres: Postgres, uri: str) -> list[str]:
    """Schema and rows, line by line in no order, without what a dump says of itself.

    And without the CHECKs: PostgreSQL spells a restored one otherwise.
    """
    command = [postgres.binaries / "pg_dump", "--no-owner", uri]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return sorted(line for line in lines if not line.startswith(("--", "\\")) and " CHECK (" not in line)


def upgraded(uris: tuple[str, str]) -> bool:
    names = {"MLFLOW_BACKEND_STORE_URI": uris[0], "ODDSOUND_ACCOUNTS_URI": uris[1]} | ACCOUNTS
    done = oddsound("serve", "mlflow", "--accounts", "--artifacts", "s3://unused", "--upgrade", **names)
    return done.returncode == 0 and "has the schema of the installed MLflow" in done.stderr


def test_made_backed_up_lost_restored_and_upgraded(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The README's commands, in its order; the second server knows what the first was told."""
    first, second = [(postgres.fresh(), postgres.fresh()) for _ in range(2)]
    assert upgraded(first)  # empty databases get their tables
    artifacts = str(tmp_path / "artifacts")
    with mlflow_server(
        tmp_path, free_port(), backend=first[0], accounts=first[1], artifacts=artifacts
    ) as server:
        made = oddsound(
            *("serve", "account", "ada", "--may", "write", "--tracking-uri", server.uri),
            said="password-of-ada\n",
            MLFLOW_TRACKING_USERNAME="admin",
            MLFLOW_TRACKING_PASSWORD=ADMIN_PASSWORD,
        )
        assert (made.returncode, made.stderr) == (0, "ada: new account, EDIT on everything\n")
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ada")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "password-of-ada")
        sync(
            open_store(server.uri, tmp_path), Search("s-1", "lab"), {"fan": [small_bundle(tmp_path, 0, 0.7)]}
        )

    for number in range(2):
        backup(postgres, first[number], tmp_path / f"{number}.dump")
        restore(postgres, tmp_path / f"{number}.dump", second[number])
    before = [content(postgres, uri) for uri in first]
    assert before == [content(postgres, uri) for uri in second] and len(before[0]) > 1000
    assert upgraded(second)  # the second time there is nothing to do
    assert before == [content(postgres, uri) for uri in second]
    with mlflow_server(
        tmp_path, free_port(), backend=second[0], accounts=second[1], artifacts=artifacts
    ) as server:
        [trial] = best_trials(open_store(server.uri, tmp_path), "lab", "fan")
        assert trial.omega == 0.7
        below = processes_below(server.process.pid)
        server.process.kill()
        server.process.wait()
        until(lambda: all(map(is_gone, below)))
