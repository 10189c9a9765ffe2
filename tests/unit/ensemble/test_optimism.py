"""What choosing by the labels adds: known where everything is noise, nothing where there is no choice."""

from dataclasses import replace

import numpy as np
import pytest
from benchmarks.coverage import drawn, true_omega

from oddsound.ensemble.fusions import FUSIONS
from oddsound.ensemble.optimism import Candidate, _halves, estimate_optimism
from oddsound.ensemble.systems import PAPER_FUSIONS, Member, build_systems
from oddsound.errors import ConfigError, ScoreError
from oddsound.scoring.curves import omegas
from oddsound.scoring.omega import cells, omega, terms
from oddsound.scoring.table import ScoreTable

NOTHING = (0.0,) * 4
CHANCE = true_omega(NOTHING)


def table(skills: tuple[float, ...], seed: int, n: int = 25) -> ScoreTable:
    """Labelled clips of the same names, and some training clips."""
    random = np.random.default_rng(seed)
    test, train = drawn(skills, n, random), drawn([0.0] * len(skills), 10, random)
    train = train.where(train.label == 0)
    joined = {
        name: np.concatenate((getattr(test, name), getattr(train, name)))
        for name in ("file", "section", "domain", "label", "score", "probabilities")
    }
    split = np.repeat(["test", "train"], [len(test), len(train)])
    return replace(test, split=split, **joined)


def noise(n: int, first: int = 0) -> list[Candidate]:
    return [Candidate(table(NOTHING, seed)) for seed in range(first, first + n)]


def test_the_best_of_many_by_luck_is_no_better_than_chance() -> None:
    found = estimate_optimism({"fan": noise(60)}, ["best", "mean"], n_splits=15)
    best = found["best"].machines["fan"]
    assert best.naive > CHANCE + 0.04
    assert best.corrected == pytest.approx(CHANCE, abs=0.03)
    assert best.optimism > 3 * best.spread / 15**0.5, "it is no accident of the splits"
    assert best.corrected + best.optimism == pytest.approx(best.naive)
    assert found["best"].mean == best


def test_without_a_choice_there_is_no_optimism() -> None:
    only = [Candidate(table((1.0, 0.5, 1.5, 0.8), 0, n=40))]
    found = estimate_optimism({"fan": only}, ["best"], n_splits=40)["best"].machines["fan"]
    assert found.naive == pytest.approx(omega(cells(only[0].table)))
    assert abs(found.optimism) < 0.01, "but for an omega of half the clips, which is a little lower"


def test_a_clear_winner_has_little_of_it() -> None:
    winner = Candidate(table((2.5,) * 4, 100))
    found = estimate_optimism({"fan": [*noise(20), winner]}, ["best"], n_splits=10)["best"].machines["fan"]
    assert abs(found.optimism) < 0.02
    assert found.naive == pytest.approx(omega(cells(winner.table)))


@pytest.mark.parametrize("n_epochs", [12, 150])
def test_choosing_the_epoch_counts_too(n_epochs: int) -> None:
    """One trial whose epochs are all noise: the best one of them by the labels is the trial."""
    corrected, naive = [], []
    for seed in range(16):
        first = table(NOTHING, seed)
        random = np.random.default_rng(seed)
        epochs = random.normal(size=(n_epochs, len(first.labelled())))
        labelled = first.labelled()
        found_terms = terms(labelled.section, labelled.domain, labelled.label)
        own = epochs[omegas(epochs, found_terms).argmax()]
        own = replace(first, score=np.concatenate((own, first.score[len(labelled) :])))
        of = [Candidate(own, epochs.astype(np.float32))]
        found = estimate_optimism({"fan": of}, ["best"], n_splits=4)["best"].mean
        corrected.append(found.corrected)
        naive.append(found.naive)
    assert np.mean(naive) > CHANCE + 0.03
    assert np.mean(corrected) == pytest.approx(CHANCE, abs=0.025)


def test_fusions_that_learn_from_labels_are_more_optimistic() -> None:
    found = estimate_optimism({"fan": noise(12)}, ["mean_zscore", "greedy"], k=5, n_splits=6, fallback=False)
    assert found["greedy"].mean.optimism > found["mean_zscore"].mean.optimism
    assert found["greedy"].mean.corrected == pytest.approx(CHANCE, abs=0.05)


def test_naive_is_what_the_systems_say() -> None:
    candidates = {
        "fan": noise(8),
        "pump": [Candidate(replace(c.table, machine="pump")) for c in noise(7, 50)],
    }
    members = {
        machine: [Member(f"{i:02}", omega(cells(c.table)), 1, {}, c.table, "") for i, c in enumerate(of)]
        for machine, of in candidates.items()
    }
    found = estimate_optimism(candidates, PAPER_FUSIONS, n_splits=2)
    for system, name in zip(build_systems(members), PAPER_FUSIONS, strict=True):
        for machine, of in system.machines.items():
            assert found[name].machines[machine].naive == pytest.approx(of.omega), (name, machine)


def test_the_seed_decides() -> None:
    of = {"fan": noise(6)}
    once = estimate_optimism(of, ["mean"], n_splits=3, seed=1)
    assert once == estimate_optimism(of, ["mean"], n_splits=3, seed=1)
    assert once != estimate_optimism(of, ["mean"], n_splits=3, seed=2)


def test_halves_have_each_kind_alike() -> None:
    labelled = table(NOTHING, 0, n=7).labelled()
    alone = np.arange(len(labelled)) >= 6  # a single clip of the first kind
    labelled = labelled.where(alone)
    for first, second in _halves(labelled, 5, 0):
        for section in ("00", "01"):
            for domain in ("source", "target"):
                for label in (0, 1):
                    kind = (
                        (labelled.section == section)
                        & (labelled.domain == domain)
                        & (labelled.label == label)
                    )
                    counts = (first & kind).sum(), (second & kind).sum()
                    assert abs(counts[0] - counts[1]) <= 1
                    assert min(counts) >= 1
        assert (first | second).all()
        assert (first & second).sum() == 1


def test_what_cant_be_estimated() -> None:
    with pytest.raises(ConfigError, match="fusion 'median'"):
        estimate_optimism({"fan": noise(2)}, ["median"])
    with pytest.raises(ScoreError, match="fan: no labelled test clips"):
        estimate_optimism({"fan": [Candidate(noise(1)[0].table.train())]}, ["best"])
    with pytest.raises(ScoreError, match="no finished trial to choose from"):
        estimate_optimism({"fan": []}, ["best"])


@pytest.mark.parametrize("name", sorted(FUSIONS))
def test_every_fusion_can_be_estimated(name: str) -> None:
    found = estimate_optimism({"fan": noise(7)}, [name], k=3, n_splits=2, fallback=False)[name].mean
    assert 0 < found.corrected < 1
