"""Measuring on a real Ray: what a plan says, what a search is given, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import ray
from ray._private.state import state
from ray.core.generated.autoscaler_pb2 import ClusterConfig, NodeGroupConfig

from oddsound.config import TrialConfig
from oddsound.errors import CacheError, ConfigError
from oddsound.search.address import LOCAL
from oddsound.search.cluster import cluster
from oddsound.search.resources import AUTO, Node, Resources, fitting, measure, measured, node_types

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray", "ignore::FutureWarning:ray"),
]

ODDSOUND = Path(sys.executable).parent / "oddsound"
SETTINGS = """
model: {pretrained: none, width: 0.1, depth: 0.3, ae_hidden: 16}
training: {epochs: 50, batch_size: 8}
"""


def test_a_plan_says_what_a_search_would_take_and_leaves_nothing(
    small_data: Path, tmp_path: Path, ray_folder: Path
) -> None:
    (tmp_path / "tiny.yaml").write_text(SETTINGS)
    line = [ODDSOUND, "plan", small_data, "--config", tmp_path / "tiny.yaml", "--out", tmp_path / "out"]
    line += ["--trials", "10", "--workers", "1,4", "--set", "augment.mixup_alpha=0.0", "--json"]
    ended = subprocess.run([str(part) for part in line], capture_output=True, text=True, timeout=200)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("measuring a trial of") == 1, "the two machine types cost alike"
    document = json.loads(ended.stdout)
    fan, valve = document["machines"]["fan"], document["machines"]["valve"]
    assert (fan["trials"], fan["epochs"], valve["measured_on"]) == (10, 50, "fan")
    assert 0 < 50 * fan["seconds_per_epoch"] <= fan["seconds_per_trial"] < 600
    assert fan["hours"] == pytest.approx(10 * fan["seconds_per_trial"] / 3600)
    one, four = document["total"]["hours_on"]
    assert (one["workers"], four["workers"]) == (1, 4)
    assert one["hours"] == pytest.approx(fan["hours"] + valve["hours"])
    assert one["hours"] / 4 * (1 - 1e-9) <= four["hours"] < one["hours"] / 3
    assert 200 << 20 < fan["host_bytes"] < document["resources"]["memory_per_trial"] < 4 << 30
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.yaml"]


def test_what_is_to_be_measured_and_what_can_never_be_had(
    small_cache: Path, small_config: TrialConfig, ray_folder: Path
) -> None:
    with cluster(LOCAL, "again"):
        asked = Resources(gpus_per_trial=0, memory_per_trial=AUTO)
        found = measured(asked, small_config, small_cache)
        assert found.gpus_per_trial == 0.0
        assert isinstance(found.memory_per_trial, int)
        assert 200 << 20 < found.memory_per_trial < 4 << 30
        assert fitting(found, node_types())["memory"] == found.memory_per_trial

        with pytest.raises(CacheError, match="nowhere: not a feature cache"):
            measure(small_config, small_cache / "nowhere", {"cpu": 1, "gpu": 0})

        with pytest.raises(ConfigError, match="a trial wants 100000 CPUs and 0 GPUs, no node has both"):
            fitting(Resources(100_000, 0), node_types())
        told_by_an_autoscaler({"CPU": 64, "GPU": 8, "memory": 1 << 40})
        assert node_types()[-1] == Node(64, 8, 1 << 40, is_up=False)
        assert fitting(Resources(64, 0), node_types()) == {"cpu": 64, "gpu": 0}


def told_by_an_autoscaler(group: dict[str, int]) -> None:
    """As an autoscaler tells Ray's head what it could add."""
    config = ClusterConfig(node_group_configs=[NodeGroupConfig(name="large", resources=group, max_count=2)])
    ray._raylet.GcsClient(address=ray.get_runtime_context().gcs_address).internal_kv_put(
        ray._raylet.GCS_AUTOSCALER_CLUSTER_CONFIG_KEY.encode(),
        config.SerializeToString(),
        True,
        ray._raylet.GCS_AUTOSCALER_STATE_NAMESPACE.encode(),
    )
    assert state.get_cluster_config() is not None
