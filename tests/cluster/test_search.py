"""The search on a real Ray, with trials that take no time."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.search.fake_trials import instant, omega_of, plan

from oddsound.config import TrialConfig
from oddsound.errors import ConfigError
from oddsound.search.run import Conduct, run_search
from oddsound.training.bundle import Stop, bundles, finished


class Heard:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, int]] = []
        self.lines: list[str] = []
        self.reasons: list[str] = []

    def started(self, config: TrialConfig, number: int) -> None:
        self.events.append(("started", config.machine, number))

    def epoch(self, config: TrialConfig, number: int, metrics: dict[str, float]) -> None:
        pass

    def finished(self, config: TrialConfig, number: int, omega: float) -> None:
        self.events.append(("finished", config.machine, number))

    def restarted(self, config: TrialConfig, number: int, reason: str) -> None:
        self.events.append(("restarted", config.machine, number))

    def stopped(self, config: TrialConfig, number: int, stop: Stop) -> None:
        self.events.append(("stopped", config.machine, number))

    def failed(self, config: TrialConfig, number: int, reason: str) -> None:
        self.events.append(("failed", config.machine, number))
        self.reasons.append(reason)

    def said(self, line: str) -> None:
        self.lines.append(line)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray", "ignore::FutureWarning:ray")
def test_every_machine_type_in_one_experiment(
    tmp_path: Path, ray_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    machines = ["fan", "valve", "ToyCar"]
    heard = Heard()
    outcome = run_search([plan(m, 5) for m in machines], tmp_path, heard, trainable=instant)
    assert not outcome.interrupted
    assert sorted((machine, reason) for machine, _, reason in outcome.failures) == [
        (machine, "TrialError: as told") for machine in sorted(machines)
    ]
    for machine in machines:
        whole = finished(tmp_path / "trials", machine)
        assert [b.result().number for b in whole] == [0, 1, 3, 4]
        assert all(b.config().machine == machine for b in whole)
        assert whole[0].result().omega == omega_of(whole[0].config())
        assert len(list(bundles(tmp_path / "trials", machine))) == 5
        assert [n for kind, m, n in heard.events if (kind, m) == ("failed", machine)] == [2]
    assert capfd.readouterr().out == "", "stdout is data"

    again = Heard()
    outcome = run_search([plan(m, 5) for m in machines], tmp_path, again, trainable=instant)
    assert {number for _, _, number in again.events} == {2}, "only what failed is tried again"
    assert len(outcome.failures) == 3


def test_nothing_missing_touches_no_cluster(tmp_path: Path) -> None:
    heard = Heard()
    outcome = run_search([], tmp_path, heard, Conduct(address="nowhere:1"), trainable=instant)
    assert (outcome.failures, outcome.interrupted, heard.events) == ([], False, [])


def test_a_cluster_that_is_not_there_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"127\.0\.0\.1:1: nobody answers"):
        run_search([plan("fan", 1)], tmp_path, Heard(), Conduct(address="127.0.0.1:1"), trainable=instant)
