"""What jobs/ gives to the cluster launcher and KubeRay: known fields, token, no secret, our Ray and CLI."""

from __future__ import annotations

import copy
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config
from tests.unit.kuberay_schema import OBJECTS

from oddsound.cli.main import oddsound

ROOT = Path(__file__).resolve().parents[2]
JOBS = ROOT / "jobs"
LAUNCHER = JOBS / "cluster.yaml"
KUBERAY = sorted((JOBS / "kuberay").glob("*.yaml"))
FILES = [LAUNCHER, *KUBERAY, JOBS / "kuberay" / "Dockerfile"]


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


def kuberay(kind: str) -> dict[str, Any]:
    [found] = [each for path in KUBERAY for each in documents(path) if each["kind"] == kind]
    return found


def cluster_specs() -> list[dict[str, Any]]:
    return [kuberay("RayCluster")["spec"], kuberay("RayJob")["spec"]["rayClusterSpec"]]


def pods(spec: dict[str, Any]) -> list[dict[str, Any]]:
    groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    return [group["template"]["spec"] for group in groups]


def launch(config: dict[str, Any]) -> dict[str, Any]:
    """The launcher's configuration as `ray up` would have it; raises where it would refuse."""
    prepared: dict[str, Any] = prepare_config(copy.deepcopy(config))
    validate_config(prepared)
    return prepared


def values(tree: Any) -> Iterator[tuple[str, Any]]:
    """Every key with its value, at any depth."""
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        yield str(key), value
        if isinstance(value, dict | list):
            yield from values(value)


def ray_version() -> str:
    [version] = re.findall(r"^ray==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    return str(version)


def test_the_launcher_takes_its_configuration() -> None:
    prepared = launch(documents(LAUNCHER)[0])
    assert prepared["available_node_types"]["gpu"]["min_workers"] >= 1


def test_the_launcher_refuses_a_misspelt_key() -> None:
    config = documents(LAUNCHER)[0] | {"head_node_typ": "head"}
    with pytest.raises(jsonschema.ValidationError, match="head_node_typ"):
        launch(config)


def test_kuberay_has_every_field() -> None:
    for path in KUBERAY:
        for each in documents(path):
            jsonschema.validate(each, OBJECTS[each["kind"]])


def _misspelt(spec: dict[str, Any]) -> None:
    spec["authOption"] = spec.pop("authOptions")


def _number(spec: dict[str, Any]) -> None:
    spec["headGroupSpec"]["rayStartParams"]["num-cpus"] = 0


def _misplaced(spec: dict[str, Any]) -> None:
    pods(spec)[1]["containers"][0]["tolerations"] = pods(spec)[1].pop("tolerations")


def _root(spec: dict[str, Any]) -> None:
    pods(spec)[0]["securityContext"]["runAsUser"] = 0


def _variable(spec: dict[str, Any]) -> None:
    pods(spec)[0]["containers"][0]["env"][0]["value"] = 5000


@pytest.mark.parametrize("spoil", [_misspelt, _number, _misplaced, _root, _variable])
def test_a_spoilt_copy_is_refused(spoil: Callable[[dict[str, Any]], None]) -> None:
    spoilt = copy.deepcopy(kuberay("RayCluster"))
    spoil(spoilt["spec"])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(spoilt, OBJECTS["RayCluster"])


def test_the_jobs_cluster_is_the_cluster() -> None:
    stays, of_job = cluster_specs()
    assert stays == of_job


def test_every_cluster_asks_for_a_token() -> None:
    assert [spec["authOptions"] for spec in cluster_specs()] == [{"mode": "token"}] * 2
    config = documents(LAUNCHER)[0]
    starts = [
        line
        for of in ("head", "worker")
        for line in config[f"{of}_start_ray_commands"]
        if "ray start" in line
    ]
    assert len(starts) == 2
    assert all(line.startswith("RAY_AUTH_MODE=token ") for line in starts)
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    assert "chmod 600 ~/.ray/auth_token" in config["setup_commands"]


def test_no_dashboard_is_public() -> None:
    starts = [line for line in documents(LAUNCHER)[0]["head_start_ray_commands"] if "ray start" in line]
    assert all("--dashboard-host=127.0.0.1" in line for line in starts)
    labels = kuberay("NetworkPolicy")["spec"]["podSelector"]["matchLabels"]
    for spec in cluster_specs():
        assert spec["headGroupSpec"]["serviceType"] == "ClusterIP"
        for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
            assert labels.items() <= group["template"]["metadata"]["labels"].items()


def test_only_its_own_pods_and_the_operator_reach_ray() -> None:
    among, operator = kuberay("NetworkPolicy")["spec"]["ingress"]
    assert among == {"from": [{"podSelector": kuberay("NetworkPolicy")["spec"]["podSelector"]}]}
    assert operator["ports"] == [{"protocol": "TCP", "port": 8265}]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_secret_is_in_the_file(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"[0-9a-fA-F]{32}", text)
    assert not re.search(r"://[^/\s]+:[^/\s]+@", text)
    assert not re.search(r"(?i)(password|token|secret)\w*\s*[=:]\s*[\"']?\w{12,}", text)
    assert "kind: Secret" not in text


def test_credentials_come_from_a_secret() -> None:
    for spec in cluster_specs():
        credentials = [
            each
            for _, each in values(spec)
            if isinstance(each, dict) and re.search("PASSWORD|TOKEN|USERNAME", str(each.get("name")))
        ]
        assert len(credentials) == 2
        assert all(each.keys() == {"name", "valueFrom"} for each in credentials)


def test_every_ray_is_the_one_of_the_constraints() -> None:
    version = ray_version()
    assert [spec["rayVersion"] for spec in cluster_specs()] == [version, version]
    text = "\n".join(path.read_text() for path in FILES)
    images = re.findall(r"(?:rayproject/ray|oddsound-ray):([0-9.]+)", text)
    assert len(images) >= 7
    assert set(images) == {version}


def test_every_command_exists() -> None:
    entrypoint = kuberay("RayJob")["spec"]["entrypoint"]
    commands = [entrypoint]
    for path in FILES:
        comments = " ".join(
            line.lstrip("# ") for line in path.read_text().splitlines() if line.startswith("#")
        )
        commands += re.findall(r"'(oddsound [^']*)'", comments)
    assert len(commands) == 3
    for command in commands:
        assert "--ray-address auto" in command
        _, name, *words = shlex.split(command)
        known = {option for parameter in oddsound.commands[name].params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, command


def test_the_workers_and_the_head_share_the_storage() -> None:
    for spec in cluster_specs():
        for pod in pods(spec):
            [volume] = pod["volumes"]
            assert (
                volume["persistentVolumeClaim"]["claimName"]
                == kuberay("PersistentVolumeClaim")["metadata"]["name"]
            )
            [mount] = pod["containers"][0]["volumeMounts"]
            assert (mount["name"], mount["mountPath"]) == (volume["name"], "/shared")
