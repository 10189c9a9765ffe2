"""What a server of ours refuses before anything is started, and what its command and environment hold."""

from __future__ import annotations

import configparser
import http.server
import socket
import threading
from pathlib import Path

import pytest
from tests.postgres import Postgres

from oddsound.errors import ConfigError, DataError, TrackingError
from oddsound.tracking.hosting import address, databases, process, secrets
from oddsound.tracking.hosting.setup import Setup, Wish, set_up

pytestmark = pytest.mark.server

SECRETS = {
    "MLFLOW_BACKEND_STORE_URI": "postgresql://lab:back%40end@db/mlflow",
    "ODDSOUND_ACCOUNTS_URI": "postgresql://lab:acc%25ounts@db/accounts",
    "MLFLOW_AUTH_ADMIN_PASSWORD": "twelve-or-more",
    "MLFLOW_FLASK_SERVER_SECRET_KEY": "0123456789abcdef0123456789abcdef",
    "AWS_SECRET_ACCESS_KEY": "s3-secret",
}
GROUP = Wish(None, "0.0.0.0", 5000, True, ["mlflow.lab.example"], artifacts="s3://bucket/mlflow")


def changed(wish: Wish, **fields: object) -> Wish:
    return Wish(**{**wish.__dict__, **fields})


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.9.1"])
def test_loopback(host: str) -> None:
    assert address.is_loopback(host)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.168.1.5", "lab", "127.0.0.1.example", "0", "127.1", ""]
)
def test_everything_else_needs_accounts(host: str, store_file: Path) -> None:
    assert not address.is_loopback(host)
    with pytest.raises(ConfigError, match="--accounts"):
        set_up(Wish(store_file, host, allowed_hosts=["lab"]), {})


@pytest.fixture
def store_file(tmp_path: Path) -> Path:
    file = tmp_path / "run" / "mlflow" / "mlflow.db"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"SQLite format 3\0" + bytes(84))
    return file


def test_a_laptop_needs_a_path_alone(store_file: Path) -> None:
    for path in (store_file, store_file.parent, store_file.parents[1]):
        setup = set_up(Wish(path), {"HOME": "/home/ada"})
        assert setup.backend == f"sqlite:///{store_file}" and setup.accounts_ini is None
        assert option(setup, "--artifacts-destination") == str(store_file.parent / "artifacts")
    assert option(setup, "--allowed-hosts") == "localhost:5000,127.0.0.1:5000,[::1]:5000"
    assert option(setup, "--cors-allowed-origins").split(",")[0] == "http://localhost:5000"
    assert setup.environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert setup.environment["HOME"] == "/home/ada"


def option(setup: Setup, name: str) -> str:
    return setup.command[setup.command.index(name) + 1]


@pytest.mark.parametrize("content", [None, b"", b"no sqlite at all"])
def test_a_path_without_a_database_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "mlflow.db"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=str(path)):
        set_up(Wish(tmp_path), {})


def test_a_group_needs_every_secret() -> None:
    set_up(GROUP, SECRETS)
    for name in list(SECRETS)[:-1]:
        with pytest.raises(ConfigError, match=f"{name}"):
            set_up(GROUP, {k: v for k, v in SECRETS.items() if k != name})


@pytest.mark.parametrize(
    "name, weak",
    [
        ("MLFLOW_AUTH_ADMIN_PASSWORD", "eleven-char"),
        ("MLFLOW_FLASK_SERVER_SECRET_KEY", "0123456789abcdef0123456789abcde"),
        ("MLFLOW_BACKEND_STORE_URI", ""),
        ("ODDSOUND_ACCOUNTS_URI", ""),
    ],
)
def test_weak_secrets_are_refused_and_not_shown(name: str, weak: str) -> None:
    with pytest.raises(ConfigError, match=name) as refused:
        set_up(GROUP, SECRETS | {name: weak})
    assert not weak or weak not in str(refused.value)


def test_no_secret_is_in_the_command_or_shown() -> None:
    setup = set_up(GROUP, SECRETS)
    for text in (*setup.command, repr(setup), setup.shown):
        for secret in ("back%40end", "acc%25ounts", "twelve-or-more", "0123456789abcdef", "s3-secret"):
            assert secret not in text
    assert setup.environment["MLFLOW_BACKEND_STORE_URI"] == "postgresql+psycopg://lab:back%40end@db/mlflow"


def test_the_accounts_file_gives_mlflow_the_address_as_it_was() -> None:
    """A % begins an interpolation in such a file."""
    read = configparser.ConfigParser()
    read.read_string(set_up(GROUP, SECRETS).accounts_ini or "")
    assert read["mlflow"]["database_uri"] == "postgresql+psycopg://lab:acc%25ounts@db/accounts"
    assert read["mlflow"]["default_permission"] == "NO_PERMISSIONS"


def test_nothing_of_the_environment_undoes_an_option() -> None:
    hostile = {
        "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "true",
        "MLFLOW_BASIC_AUTH_FAIL_CLOSED": "false",
        "MLFLOW_ENABLE_REMOTE_ASSISTANT": "true",
        "MLFLOW_AUTH_CONFIG_PATH": "/tmp/other.ini",
        "MLFLOW_TRACKING_PASSWORD": "of the client",
        "MLFLOW_SQLALCHEMYSTORE_ECHO": "true",
        "_MLFLOW_AUTH_ADMIN_BOOTSTRAPPED": "true",
        "UVICORN_UDS": "/tmp/socket",
    }
    kept = {"MLFLOW_S3_ENDPOINT_URL": "http://store:8333", "PGPASSFILE": "/run/pgpass", "AWS_REGION": "x"}
    given = set_up(GROUP, SECRETS | hostile | kept).environment
    assert kept.items() <= given.items()
    assert {name: given[name] for name in hostile if name in given} == {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_BASIC_AUTH_FAIL_CLOSED": "true",
        "MLFLOW_ENABLE_REMOTE_ASSISTANT": "false",
    }


def test_allowed_hosts() -> None:
    names = address.host_names(["mlflow.lab.example", "10.0.0.7:8080", "[fd00::7]"], "0.0.0.0", 5000)
    assert names == [
        "mlflow.lab.example",
        "mlflow.lab.example:5000",
        "10.0.0.7:8080",
        "[fd00::7]",
        "[fd00::7]:5000",
    ]
    assert address.pages([], ["mlflow.lab.example", "127.0.0.1:80"]) == [
        "https://mlflow.lab.example",
        "http://127.0.0.1:80",
    ]
    with pytest.raises(ConfigError, match="--allowed-hosts"):
        set_up(changed(GROUP, allowed_hosts=[]), SECRETS)
    for loose in ("*", "10.*", "https://mlflow.lab.example", "a/b", ""):
        with pytest.raises(ConfigError, match="--allowed-hosts"):
            set_up(changed(GROUP, allowed_hosts=[loose]), SECRETS)
    for loose in ("*", "https://*.example", "mlflow.lab.example"):
        with pytest.raises(ConfigError, match="--cors-origins"):
            set_up(changed(GROUP, cors_origins=[loose]), SECRETS)


def test_other_databases_and_no_place_for_artifacts() -> None:
    with pytest.raises(ConfigError, match="MLFLOW_BACKEND_STORE_URI: give postgresql"):
        set_up(GROUP, SECRETS | {"MLFLOW_BACKEND_STORE_URI": "mysql://lab:secret@db/mlflow"})
    with pytest.raises(ConfigError, match="--artifacts"):
        set_up(changed(GROUP, artifacts=None), SECRETS)


def test_secrets_from_files(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("twelve-or-more\n")
    file.chmod(0o600)
    name, given = secrets.PASSWORD, {f"{secrets.PASSWORD}_FILE": str(file)}
    assert secrets.secret(name, given) == "twelve-or-more"
    file.chmod(0o640)
    assert secrets.secret(name, given) == "twelve-or-more"
    passed = set_up(GROUP, {k: v for k, v in SECRETS.items() if k != name} | given).environment
    assert passed[name] == "twelve-or-more" and f"{name}_FILE" not in passed
    with pytest.raises(ConfigError, match="both set"):
        secrets.secret(name, given | {name: "x"})
    for mode in (0o604, 0o602):
        file.chmod(mode)
        with pytest.raises(ConfigError, match=r"chmod o= ") as refused:
            secrets.secret(name, given)
        assert "twelve" not in str(refused.value)
    file.unlink()
    with pytest.raises(ConfigError, match="can't be read"):
        secrets.secret(name, given)


def test_a_busy_port_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} of 127.0.0.1 is taken"):
            address.assert_free("127.0.0.1", port)
    address.assert_free("127.0.0.1", port)
    with pytest.raises(ConfigError, match=r"can't listen on 192\.0\.2\.1"):
        address.assert_free("192.0.2.1", port)


def test_a_password_may_lie_in_libpqs_file(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = postgres.uri("postgres").replace("postgresql", "postgresql+psycopg")
    without = uri.replace(f":{postgres.password}", "")
    with pytest.raises(TrackingError, match="doesn't let us in"):
        databases.assert_open(without)
    with pytest.raises(TrackingError, match="password authentication failed") as refused:
        databases.assert_open(uri.replace(postgres.password, "a-wrong-one"))
    assert "a-wrong-one" not in str(refused.value)
    file = tmp_path / "pgpass"
    file.touch(0o600)
    file.write_text(f"127.0.0.1:*:*:{postgres.user}:{postgres.password}\n")
    monkeypatch.setenv("PGPASSFILE", str(file))
    databases.assert_open(without)
    databases.assert_open(uri)


def test_a_database_that_nobody_serves_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(TrackingError, match=rf"127.0.0.1:{port}/mlflow doesn't let us in") as refused:
        databases.assert_open(f"postgresql+psycopg://lab:hidden@127.0.0.1:{port}/mlflow")
    assert "hidden" not in str(refused.value) and "\n" not in str(refused.value)


class _Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_our_own_server_is_asked_without_a_proxy(monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    """Where nobody answers for the proxy it would seem never to come up."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("urllib.request._opener", None)  # it remembers the proxies of its first use
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Healthy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            assert process._answers(address.probe_url("127.0.0.1", server.server_port))
            assert not process._answers(address.probe_url("127.0.0.1", free_port))
        finally:
            server.shutdown()
