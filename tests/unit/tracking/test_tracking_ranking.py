"""The best trials by another metric than omega."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.unit.tracking.small_bundles import small_bundle

from oddsound.tracking.layout import Search
from oddsound.tracking.ranking import best_trials
from oddsound.tracking.store import Store
from oddsound.tracking.sync import sync
from oddsound.training.bundle import bundles


def test_another_metric_ranks_otherwise(store: Store, tmp_path: Path) -> None:
    """And a trial without it isn't ranked at all."""
    name = "auc/section_00/source"
    for number, (omega, auc) in enumerate([(0.9, 0.5), (0.6, 0.8), (0.7, None)]):
        bundle = small_bundle(tmp_path / "trials", number, omega)
        metrics = {k: v for k, v in bundle.result().metrics.items() if k != name}
        bundle.write_result(
            replace(bundle.result(), metrics=metrics | ({name: auc} if auc is not None else {}))
        )
    sync(store, Search("s1", "demo"), {"fan": bundles(tmp_path / "trials", "fan")})
    assert [t.omega for t in best_trials(store, "demo", "fan")] == [0.9, 0.7, 0.6]
    assert [t.omega for t in best_trials(store, "demo", "fan", metric=name)] == [0.6, 0.9]
