"""A group's server for real: PostgreSQL, an object store, accounts, every secret in a file.

The database's password has every character that an address or an ini file could choke on.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
import requests
from tests.mlflow_routes import routes
from tests.mlflow_server import ACCOUNTS, ADMIN_PASSWORD, Server, mlflow_server
from tests.postgres import Postgres
from tests.s3 import ObjectStore
from tests.unit.tracking.server_process import processes_below
from tests.unit.tracking.small_bundles import small_bundle
from tests.unit.tracking.waiting import free_port

from oddsound.errors import AccessError
from oddsound.tracking.hosting.accounts import admit
from oddsound.tracking.layout import Search
from oddsound.tracking.ranking import best_trials
from oddsound.tracking.reading import load_tracked
from oddsound.tracking.registry import register_best
from oddsound.tracking.store import Store, open_store
from oddsound.tracking.sync import sync
from oddsound.training.bundle import bundles

pytestmark = pytest.mark.slow
DATABASE_PASSWORD = "d%b@se:/pass#w?rd"
SEARCH = Search("s-group", "lab")
NAME = "mlflow.lab.example"


@dataclass
class Group:
    server: Server
    objects: ObjectStore
    postgres: Postgres
    folder: Path
    trials: Path


@pytest.fixture(scope="module")
def group(
    postgres: Postgres, object_store: ObjectStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Group]:
    folder = tmp_path_factory.mktemp("group")
    (folder / "run").mkdir()
    literal = DATABASE_PASSWORD.replace("'", "''")
    postgres.run(f"CREATE ROLE keeper LOGIN PASSWORD '{literal}'")
    for name in ("mlflow", "accounts"):
        postgres.run(f"CREATE DATABASE {name} OWNER keeper")
    where = f"postgresql://keeper:{quote(DATABASE_PASSWORD, safe='')}@127.0.0.1:{postgres.port}"
    with mlflow_server(
        folder,
        free_port(),
        backend=f"{where}/mlflow",
        accounts=f"{where}/accounts",
        artifacts=f"s3://{object_store.bucket}/group",
        options=["--allowed-hosts", f"{NAME},127.0.0.1"],
        environment=object_store.environment | {"TMPDIR": str(folder / "run")},
        in_files=True,
    ) as server:
        yield Group(server, object_store, postgres, folder, tmp_path_factory.mktemp("trials"))


@pytest.fixture(autouse=True)
def client(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client knows nothing of the object store."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "MLFLOW_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")


@pytest.fixture
def as_admin(group: Group, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str, bool], None]:
    """Gives an account its right; makes it first, where asked to."""

    def run(name: str, right: str, is_new: bool) -> None:
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", ADMIN_PASSWORD)
        admit(group.server.uri, name, f"password-of-{name}" if is_new else None, right)

    return run


@pytest.fixture
def store_of(group: Group, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Store]:
    def of(name: str) -> Store:
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", name)
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", f"password-of-{name}")
        return open_store(group.server.uri, tmp_path)

    return of


def test_nobody_without_an_account_reads_or_writes_on_any_route(group: Group, tmp_path: Path) -> None:
    """MLflow's whole route table: all but these say 401 before they look at anything."""
    public = {"/health", "/api/3.0/mlflow/server-info", "/ajax-api/3.0/mlflow/server-info", "/static-files/1"}
    asked = {(m, p) for m, p in routes(tmp_path) if m in ("GET", "POST", "PUT", "PATCH", "DELETE")}
    used = (
        "runs/search",
        "runs/log-batch",
        "graphql",
        "mlflow-artifacts/artifacts/1",
        "v1/traces",
        "gateway/1",
    )
    assert all(any(part in path for _, path in asked) for part in (*used, "webhooks", "assistant", "signup"))
    session = requests.Session()

    def status(route: tuple[str, str]) -> int:
        body = {} if route[0] in ("POST", "PUT", "PATCH") else None
        return session.request(route[0], group.server.uri + route[1], json=body, timeout=20).status_code

    with ThreadPoolExecutor(8) as pool:
        answers = dict(zip(sorted(asked), pool.map(status, sorted(asked)), strict=True))
    assert len(answers) > 400
    assert {route for route, code in answers.items() if code != 401} <= {("GET", path) for path in public}


def test_a_wrong_password_is_no_account(group: Group) -> None:
    for who in (("admin", "wrong"), ("admin", ""), ("nobody", "password-of-nobody")):
        assert requests.get(f"{group.server.uri}/", auth=who, timeout=20).status_code == 401
    assert requests.get(f"{group.server.uri}/", auth=("admin", ADMIN_PASSWORD), timeout=20).status_code == 200


@pytest.mark.parametrize(
    "host", ["10.evil.example", "localhost:evil.example", f"{NAME}.evil.example", "localhost"]
)
def test_other_names_are_refused(group: Group, host: str) -> None:
    answer = requests.get(
        f"{group.server.uri}/", headers={"Host": host}, auth=("admin", ADMIN_PASSWORD), timeout=20
    )
    assert answer.status_code == 403
    for known in (NAME, f"{NAME}:{group.server.uri.rpartition(':')[2]}"):
        answer = requests.get(f"{group.server.uri}/", headers={"Host": known}, timeout=20)
        assert answer.status_code == 401


def test_pages_of_others_change_nothing(group: Group) -> None:
    def made(origin: str, name: str) -> int:
        return requests.post(
            f"{group.server.uri}/ajax-api/2.0/mlflow/experiments/create",
            json={"name": name},
            headers={"Origin": origin},
            auth=("admin", ADMIN_PASSWORD),
            timeout=20,
        ).status_code

    assert made("https://evil.example", "by-evil") == 403
    assert made(f"https://{NAME}", "by-us") == 200


def test_a_search_is_kept_by_postgres_and_the_object_store_and_shown_to_whom_it_may(
    group: Group, as_admin: Callable[[str, str, bool], None], store_of: Callable[[str], Store]
) -> None:
    for name, right in (("ada", "write"), ("ben", "write"), ("cai", "read"), ("dee", "write")):
        as_admin(name, right, True)
    as_admin("dee", "read", False)  # what she might before is gone
    for number in range(2):
        small_bundle(group.trials, number, 0.5 + number / 10)
    found = list(bundles(group.trials, "fan"))
    report = sync(store_of("ada"), SEARCH, {"fan": found})
    assert len(report.uploaded) == 2 and report.failed == {}
    assert register_best(store_of("ada"), SEARCH.dataset, "fan")

    names = group.objects.names("group/")
    for bundle in found:
        [weights] = [
            n
            for n in names
            if n.endswith(f"{report.uploaded[bundle.path.name]}/artifacts/model/weights.safetensors")
        ]
        assert group.objects.read(weights) == bundle.weights.read_bytes()
    small_bundle(group.trials, 2, 0.9)
    more = sync(store_of("ben"), SEARCH, {"fan": bundles(group.trials, "fan")})
    assert (len(more.uploaded), len(more.already), more.failed) == (1, 2, {})
    assert register_best(store_of("ben"), SEARCH.dataset, "fan")

    for reader in ("cai", "dee"):
        store = store_of(reader)
        assert [trial.omega for trial in best_trials(store, SEARCH.dataset, "fan")] == [0.9, 0.6, 0.5]
        assert load_tracked(store, best_trials(store, "lab", "fan")[0])[1].omega == 0.9
        for write in writes(store):
            with pytest.raises(AccessError), store.asking("writing"):
                write()
    with pytest.raises(AccessError, match="only an administrator"):
        admit(group.server.uri, "dee", None, "write")
    assert [trial.omega for trial in best_trials(store_of("ada"), "lab", "fan")] == [0.9, 0.6, 0.5]


def writes(store: Store) -> list[Callable[[], object]]:
    """What only an account that may write may do to the search of another."""
    client, experiment = store.client, store.find_experiment("lab/fan")
    run = client.get_model_version_by_alias("lab.fan", "champion").run_id
    return [
        lambda: client.create_run(experiment),
        lambda: client.log_metric(run, "omega", 1.0),
        lambda: client.log_text(run, "x", "result.json"),
        lambda: client.delete_run(run),
        lambda: client.create_model_version("lab.fan", "runs:/x", run),
        lambda: client.set_registered_model_alias("lab.fan", "champion", "1"),
        lambda: client.delete_registered_model("lab.fan"),
    ]


def test_without_a_right_an_account_sees_nothing_of_others(
    group: Group, store_of: Callable[[str], Store]
) -> None:
    requests.post(
        f"{group.server.uri}/api/2.0/mlflow/users/create",
        json={"username": "eve", "password": "password-of-eve"},
        auth=("admin", ADMIN_PASSWORD),
        timeout=20,
    ).raise_for_status()
    admin = ("admin", ADMIN_PASSWORD)
    made = requests.post(
        f"{group.server.uri}/api/2.0/mlflow/experiments/create",
        json={"name": "secret"},
        auth=admin,
        timeout=20,
    ).json()["experiment_id"]
    store = store_of("eve")
    assert (
        list(store.client.search_experiments()) == [] and list(store.client.search_registered_models()) == []
    )
    for path in ("2.0/mlflow/experiments/get", "2.0/mlflow-artifacts/artifacts"):
        answer = requests.get(
            f"{group.server.uri}/api/{path}",
            params={"experiment_id": made, "path": f"{made}"},
            auth=("eve", "password-of-eve"),
            timeout=20,
        )
        assert answer.status_code == 403, path
    with pytest.raises(AccessError), store.asking("adding a run"):
        store.client.create_run(made)


def test_no_secret_is_in_a_command_line_or_the_log(group: Group) -> None:
    secrets = [DATABASE_PASSWORD, quote(DATABASE_PASSWORD, safe=""), *ACCOUNTS.values(), group.objects.secret]
    processes = [group.server.process.pid, *processes_below(group.server.process.pid)]
    assert len(processes) == 3
    texts = [Path(f"/proc/{pid}/cmdline").read_text() for pid in processes] + [group.server.log.read_text()]
    assert "uvicorn" in texts[2] and "MLflow for 127.0.0.1" in texts[3]
    for secret in secrets:
        assert not [text for text in texts if secret in text]


def test_the_accounts_file_is_ours_alone(group: Group) -> None:
    [folder] = (group.folder / "run").glob("oddsound-*")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "accounts.ini").stat().st_mode) == 0o600
