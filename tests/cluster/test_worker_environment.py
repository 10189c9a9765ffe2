"""What a search's workers find in their environment."""

import os

import pytest
import ray

from oddsound.search.address import LOCAL
from oddsound.search.cluster import WORKER_ENVIRONMENT, cluster


def _malloc() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("MALLOC_")}


def test_workers_keep_freed_memory_and_what_the_user_has_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in WORKER_ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MALLOC_ARENA_MAX", "3")
    with cluster(LOCAL, ""):
        found = ray.get(ray.remote(num_cpus=1)(_malloc).remote())
    assert found == WORKER_ENVIRONMENT | {"MALLOC_ARENA_MAX": "3"}
