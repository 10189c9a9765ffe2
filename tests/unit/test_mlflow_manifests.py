"""What mlflow_server/ gives to Compose, systemd and the proxies: known fields, our command, no secret."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest
import yaml
from tests.postgres import Postgres
from tests.unit.compose_schema import COMPOSITION

from oddsound.cli.serve import mlflow
from oddsound.tracking.hosting import secrets
from oddsound.tracking.hosting.setup import Setup, Wish, set_up

pytestmark = pytest.mark.server

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "mlflow_server"
COMPOSE = FOLDER / "compose.yaml"
UNIT = FOLDER / "oddsound-mlflow.service"
ODDSOUND = Path(sys.executable).parent / "oddsound"
PASSED_ON = {
    "MLFLOW_S3_ENDPOINT_URL",
    "AWS_DEFAULT_REGION",
    "HOME",
    "MLFLOW_AUTH_ADMIN_USERNAME",
    "PGPASSFILE",
}
CLIENTS = {
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_SERVER_CERT_PATH",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION",
}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    composition = yaml.safe_load(COMPOSE.read_text())
    jsonschema.validate(composition, COMPOSITION)
    return dict(composition["services"])


def test_compose_takes_its_file() -> None:
    """Where the client has the plugin; it needs no engine for this. Elsewhere the schema stands for it."""
    docker = shutil.which("docker")
    if not docker or subprocess.run([docker, "compose", "version"], capture_output=True).returncode:
        pytest.skip("no `docker compose` here; the schema is tested all the same")
    subprocess.run(
        [docker, "compose", "--file", COMPOSE, "config", "--quiet"],
        env=os.environ | {"ODDSOUND_HOST": "mlflow.lab.example"},
        check=True,
    )


def test_what_a_service_names_is_there(services: dict[str, Any]) -> None:
    composition = yaml.safe_load(COMPOSE.read_text())
    for service in services.values():
        assert set(service.get("secrets", [])) <= set(composition["secrets"])
        assert set(service["networks"]) <= set(composition["networks"])
        assert set(service.get("depends_on", {})) <= set(services)
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (
                (FOLDER / source).is_file() if source.startswith("./") else source in composition["volumes"]
            )
    assert [name for name, service in services.items() if "ports" in service] == ["proxy"]
    assert [name for name, service in services.items() if "outside" in service["networks"]] == ["proxy"]


def options(words: list[str]) -> dict[str, Any]:
    """As our command reads `words` after `oddsound serve mlflow`; raises for an option that it lacks."""
    with mlflow.make_context("mlflow", list(words)) as context:
        return dict(context.params)


def setup(words: list[str], environment: dict[str, str]) -> Setup:
    read = options(words)
    hosts = read["allowed_hosts"].split(",")
    return set_up(
        Wish(
            None, read["host"], read["port"], read["accounts"], hosts, (), read["artifacts"], read["workers"]
        ),
        environment,
    )


def test_made_secrets_are_what_the_composition_needs(services: dict[str, Any], tmp_path: Path) -> None:
    made = tmp_path / "secrets"
    subprocess.run([FOLDER / "make_secrets.sh", made], check=True, capture_output=True)
    composition = yaml.safe_load(COMPOSE.read_text())
    assert {Path(secret["file"]).name for secret in composition["secrets"].values()} == {
        file.name for file in made.iterdir()
    }
    assert all(file.stat().st_mode & 0o077 == 0 for file in made.iterdir())
    again = subprocess.run([FOLDER / "make_secrets.sh", made], capture_output=True, text=True)
    assert again.returncode == 3 and "nothing was changed" in again.stderr

    given = {n: v.replace("/run/secrets", str(made)) for n, v in services["mlflow"]["environment"].items()}
    words = [w.replace("${ODDSOUND_HOST", "lab${").split("${")[0] for w in services["mlflow"]["command"]]
    built = setup(words[2:], given)
    password = (made / "postgres-password").read_text()
    assert built.backend == f"postgresql+psycopg://mlflow:{password}@postgres/mlflow"
    assert (built.accounts or "").endswith("@postgres/accounts")
    assert built.environment["AWS_SECRET_ACCESS_KEY"] in (made / "s3.json").read_text()
    assert "s3://oddsound/mlflow" in built.command and "lab:5000" in " ".join(built.command)


def test_the_accounts_database_is_made(postgres: Postgres) -> None:
    postgres.run((FOLDER / "accounts.sql").read_text().replace("accounts", "made_for_accounts"))
    assert postgres.run("SELECT 1", "made_for_accounts") == "1"


def test_the_object_store_knows_its_options(services: dict[str, Any]) -> None:
    known = subprocess.run([ODDSOUND.parent / "weed", "server", "-h"], capture_output=True, text=True)
    flags = set(re.findall(r"^  (-[\w.]+)", known.stdout + known.stderr, re.MULTILINE))
    assert {word.split("=")[0] for word in services["objects"]["command"][1:]} <= flags


def test_systemd_takes_its_unit(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if not analyze:
        pytest.skip("no systemd-analyze here")
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/oddsound/.venv/bin/oddsound", str(ODDSOUND)))
    said = subprocess.run([analyze, "verify", "--man=no", unit], capture_output=True, text=True)
    assert (said.returncode, said.stderr) == (0, "")


def test_the_unit_runs_our_command_with_secrets_from_credentials(tmp_path: Path) -> None:
    text = UNIT.read_text().replace("\\\n", " ")
    credentials = dict(re.findall(r"^LoadCredential=([\w-]+):(\S+)", text, re.MULTILINE))
    values = {
        "backend-uri": "postgresql://mlflow@db/mlflow",
        "accounts-uri": "postgresql://mlflow@db/accounts",
    }
    for name in credentials:
        (tmp_path / name).touch(0o600)
        (tmp_path / name).write_text(values.get(name, "0123456789abcdef" * 2))
    given = dict(line.split("=", 1) for line in re.findall(r"^Environment=(.*)", text, re.MULTILINE))
    words = shlex.split(re.findall(r"^ExecStart=(.*)", text, re.MULTILINE)[0])
    built = setup(words[3:], {name: value.replace("%d", str(tmp_path)) for name, value in given.items()})
    assert words[1:3] == ["serve", "mlflow"] and built.host == "127.0.0.1" and built.accounts
    assert "NoNewPrivileges=yes" in text and "DynamicUser=yes" in text


def test_every_variable_is_known_and_no_secret_has_a_value(services: dict[str, Any]) -> None:
    known = {*secrets.NAMES, *(f"{name}_FILE" for name in secrets.NAMES)} | PASSED_ON
    assert set(services["mlflow"]["environment"]) <= known
    unit = set(re.findall(r"^Environment=(\w+)", UNIT.read_text(), re.MULTILINE))
    readme = set(
        re.findall(r"\b(?:MLFLOW|AWS|PG|ODDSOUND)_?[A-Z][A-Z_]+\b", (FOLDER / "README.md").read_text())
    )
    assert unit <= known and readme <= known | CLIENTS | {"ODDSOUND_HOST"}
    for file in FOLDER.iterdir():
        if file.is_file():
            assert not re.search(r"(PASSWORD|SECRET\w*|_URI)[=:] ?[\"']?\w", file.read_text()), file
    ignored = subprocess.run(["git", "check-ignore", "-q", FOLDER / "secrets" / "s3.json"], cwd=ROOT)
    assert ignored.returncode == 0


def test_the_image_has_what_a_server_imports() -> None:
    """It leaves torch, Ray and their like out; so must whatever the server's command imports."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    server = {re.split(r"[><=]", need)[0] for need in project["optional-dependencies"]["server"]}
    dockerfile = (FOLDER / "Dockerfile").read_text()
    assert all(need in dockerfile for need in server)
    absent = (
        "torch",
        "torchaudio",
        "torchvision",
        "timm",
        "ray",
        "optuna",
        "soundfile",
        "safetensors",
        "rich",
    )
    code = f"""
import sys
sys.modules |= dict.fromkeys({absent!r})
import oddsound.tracking.hosting.process, oddsound.tracking.hosting.setup
import oddsound.tracking.hosting.accounts, oddsound.tracking.hosting.databases
from oddsound.cli.main import main
main(["serve", "mlflow", "--help"])
"""
    said = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
    assert said.returncode == 0 and "--accounts" in said.stdout, said.stderr


def test_help_and_readme_name_the_same_options() -> None:
    text = (FOLDER / "README.md").read_text()
    known = {name for option in mlflow.params if isinstance(option, click.Option) for name in option.opts}
    assert {"--accounts", "--allowed-hosts", "--artifacts", "--upgrade"} <= set(
        re.findall(r"--[\w-]+", text)
    ) & known
