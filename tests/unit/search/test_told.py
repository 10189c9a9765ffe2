"""What Tune tells, in the words of a search: with plain stand-ins for Tune's trials."""

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.search.fake_trials import plan, start_bundle, write_bundle

from oddsound.config import TrialConfig
from oddsound.search.told import Told, trial_name
from oddsound.search.worker import FAILED
from oddsound.training.bundle import Bundle, Stop

NUMBER = 4
RAY_SAYS = """Traceback (most recent call last):
  File "somewhere.py", line 1, in get
ray.exceptions.ActorDiedError: The actor died unexpectedly before finishing this task.
\tclass_name: ImplicitFunc
The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit: gone.
"""


@pytest.fixture
def config() -> TrialConfig:
    of = plan("fan", 1)
    return of.space.trial(of.space.paper, 0)


@dataclass
class Heard:
    """A listener that remembers."""

    events: list[tuple[Any, ...]] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return lambda config, *what: self.events.append((name, *what))


@dataclass
class Scene:
    """One trial, one who is told of it, one who listens."""

    config: TrialConfig
    trials: Path
    stop: Stop | None = None
    heard: Heard = field(default_factory=Heard)

    def __post_init__(self) -> None:
        self.told = Told(self.heard, None, self.trials, 60.0, lambda _: self.stop)
        self.trial = SimpleNamespace(
            trial_id="t1",
            config={"trial": self.config.model_dump(), "number": NUMBER},
            last_result=None,
            error_file=None,
            run_metadata=SimpleNamespace(num_failures=0),
        )

    @property
    def bundle(self) -> Bundle:
        return Bundle(self.trials / "fan" / self.config.identity)

    def reports(self, **result: Any) -> None:
        self.trial.last_result = result
        self.told.on_trial_result(0, [], self.trial, result)

    def completes(self) -> None:
        self.told.on_trial_complete(0, [], self.trial)

    def dies(self) -> None:
        self.told.on_trial_error(0, [], self.trial)


@pytest.fixture
def scene(config: TrialConfig, tmp_path: Path) -> Scene:
    return Scene(config, tmp_path / "trials")


def test_a_trial_that_finishes(scene: Scene) -> None:
    scene.told.on_trial_start(0, [], scene.trial)
    scene.reports(epoch=1, omega=0.6)
    write_bundle(scene.trials, scene.config, NUMBER, 0.7)
    scene.completes()
    assert scene.heard.events == [
        ("started", NUMBER),
        ("epoch", NUMBER, {"epoch": 1, "omega": 0.6}),
        ("finished", NUMBER, 0.7),
    ]
    assert (scene.told.n_ended, scene.told.failures) == (1, [])


def test_a_trial_that_says_why_it_fails_is_kept_to_be_tried_again(scene: Scene) -> None:
    """Also one that was not even begun, for its features can't be read."""
    scene.reports(epoch=0, omega=float("nan"), **{FAILED: "CacheError: no"})
    scene.completes()
    assert scene.heard.events == [("failed", NUMBER, "CacheError: no")]
    assert scene.told.failures == [("fan", scene.config.identity, "CacheError: no")]
    assert scene.told.n_ended == 1
    assert scene.bundle.config() == scene.config
    assert scene.bundle.failure() == "CacheError: no"


def test_a_trial_that_dies_is_named_with_its_last_lines(scene: Scene, tmp_path: Path) -> None:
    start_bundle(scene.trials, scene.config).log.write_text("T attempt on a, process 1\nhot\nburnt\n")
    scene.trial.error_file = str(tmp_path / "error.txt")
    Path(scene.trial.error_file).write_text(RAY_SAYS)
    scene.told.on_trial_recover(0, [], scene.trial)
    scene.dies()
    says = "The actor is dead because its worker process has died. "
    says += "Worker exit type: SYSTEM_ERROR Worker exit: gone."
    reason = f"{says}; its last lines: hot | burnt"
    assert scene.heard.events == [("restarted", NUMBER, reason), ("failed", NUMBER, reason)]
    assert scene.bundle.failure() == reason


def test_a_trial_that_hung_is_named_so(scene: Scene) -> None:
    log = start_bundle(scene.trials, scene.config).log
    log.write_text("T attempt on a, process 1\nTimeout (0:01:00)!\nThread 1:\n")
    scene.dies()
    assert scene.heard.events == [("failed", NUMBER, f"hung: no step for 60 s; its stack is in {log}")]


def test_a_trial_that_dies_without_a_word(scene: Scene) -> None:
    scene.dies()
    assert scene.heard.events == [("failed", NUMBER, "its worker died without a word")]


def test_retries_are_counted_from_the_last_new_epoch(scene: Scene) -> None:
    metadata = scene.trial.run_metadata
    for epoch, failures, left in [(1, 2, 0), (2, 1, 0), (1, 3, 3), (2, 3, 3), (3, 3, 0)]:
        metadata.num_failures = failures
        scene.reports(epoch=epoch, omega=0.5)
        assert metadata.num_failures == left, "epochs that were trained before don't count"
    metadata.num_failures = 2
    scene.reports(epoch=0, omega=float("nan"), **{FAILED: "TrialError: no"})
    assert metadata.num_failures == 2


def test_a_trial_that_the_search_stops(config: TrialConfig, tmp_path: Path) -> None:
    scene = Scene(config, tmp_path, Stop(NUMBER, 30, 30, 0.5))
    start_bundle(scene.trials, config).checkpoint.touch()
    scene.reports(epoch=30, omega=0.5)
    scene.completes()
    assert scene.heard.events[-1] == ("stopped", NUMBER, scene.stop)
    assert scene.bundle.stop() == scene.stop
    assert not scene.bundle.checkpoint.exists()
    assert (scene.told.n_ended, scene.told.failures) == (1, [])


def test_a_stop_that_can_not_be_kept_is_a_failure(config: TrialConfig, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    scene = Scene(config, tmp_path / "file", Stop(NUMBER, 30, 30, 0.5))
    scene.completes()
    ((kind, _, reason),) = scene.heard.events
    assert kind == "failed"
    assert reason.startswith("was stopped early, which can't be kept: ")


def test_a_trial_that_an_interrupt_ends_has_not_ended(scene: Scene) -> None:
    start_bundle(scene.trials, scene.config)
    scene.reports(epoch=3, omega=0.5)
    scene.completes()
    assert [kind for kind, *_ in scene.heard.events] == ["epoch"]
    assert (scene.told.n_ended, scene.told.failures) == (0, [])
    assert scene.bundle.failure() == ""


def test_a_finished_trial_without_a_bundle_is_a_failure(scene: Scene) -> None:
    scene.reports(epoch=scene.config.training.epochs, omega=0.5)
    scene.completes()
    assert scene.heard.events[-1][0] == "failed"
    assert "does every node see that storage?" in scene.told.failures[0][2]


def test_where_nothing_can_be_written_it_is_still_told(config: TrialConfig, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    scene = Scene(config, tmp_path / "file")
    scene.dies()
    assert [kind for kind, *_ in scene.heard.events] == ["failed"]


def test_a_trials_name_sorts_by_machine_type_and_number(scene: Scene) -> None:
    assert trial_name(scene.trial) == f"fan-004-{scene.config.identity}"
