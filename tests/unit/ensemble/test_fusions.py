from dataclasses import replace

import numpy as np
import pytest
from tests.unit.scoring.tables import score_table

from oddsound.ensemble.fusions import FUSIONS, fuse
from oddsound.errors import ConfigError, ScoreError
from oddsound.scoring.table import ScoreTable


def members(of: list[int], segments: int = 2) -> list[ScoreTable]:
    return [score_table(seed=seed, n=3, segments=segments) for seed in of]


def test_mean_softmax_by_hand() -> None:
    # One clip of section 00, one segment: p̄ = (0.75, 0.25), A = log(0.25 / 0.75).
    first = score_table(n=3).where(np.arange(len(score_table(n=3))) == 0)
    a = replace(first, probabilities=np.array([[[0.9, 0.1]]]))
    b = replace(first, probabilities=np.array([[[0.6, 0.4]]]))
    assert fuse("mean_softmax", [a, b]).score == pytest.approx(np.log(0.25 / 0.75))


def test_segments_are_fused_one_by_one() -> None:
    first = score_table(n=3, segments=2).where(np.arange(len(score_table(n=3))) == 0)
    a = replace(first, probabilities=np.array([[[0.9, 0.1], [0.5, 0.5]]]))
    b = replace(first, probabilities=np.array([[[0.7, 0.3], [0.3, 0.7]]]))
    expected = np.mean([np.log(0.2 / 0.8), np.log(0.6 / 0.4)])
    assert fuse("mean_softmax", [a, b]).score == pytest.approx(expected)


def test_max_is_the_largest_score_of_each_clip() -> None:
    tables = members([1, 2, 3])
    by_hand = [max(scores) for scores in zip(*(table.score.tolist() for table in tables), strict=True)]
    assert fuse("max", tables).score.tolist() == by_hand


def test_members_that_are_not_aligned_are_refused() -> None:
    a, b = members([1, 2])
    order = np.arange(len(b))[::-1]
    for other, what in [
        (score_table("pump", seed=2, n=3), "machine type \\(pump, fan\\)"),
        (score_table(seed=2, n=3, sections=("00", "02")), "classes \\(00, 02; 00, 01\\)"),
        (score_table(seed=2, n=4), "number of clips"),
        (b.where(order), "the file of row 1"),  # type: ignore[arg-type]
        (replace(b, label=np.where(b.label == 1, -1, b.label)), "the label of row 4"),
    ]:
        with pytest.raises(ScoreError, match=f"fan: member 2 and member 1 differ in .*{what}"):
            fuse("mean", [a, other])


def test_segments_of_unlike_number() -> None:
    a, b = members([1])[0], members([2], segments=3)[0]
    fused = fuse("mean_softmax", [a, b])
    pooled = (a.probabilities.mean(axis=1) + b.probabilities.mean(axis=1)) / 2
    np.testing.assert_allclose(fused.probabilities[:, 0], pooled)
    own = np.take_along_axis(pooled, np.array([[a.classes.index(s)] for s in a.section]), axis=1)[:, 0]
    np.testing.assert_allclose(fused.score, np.log((1 - own) / own), rtol=1e-9)
    assert fuse("mean", [a, b]).probabilities.shape == (len(a), 1, 2)


def test_members_of_several_classes_a_section() -> None:
    """Labels that are attributes: the class of its section that a clip fits best counts."""
    first = members([1])[0]
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(3), size=(len(first), 1))
    table = replace(first, classes=("00/a", "00/b", "01/"), probabilities=p)
    scores = fuse("mean_softmax", [table, table]).score
    odds = np.log((1 - p[:, 0]) / p[:, 0])
    expected = np.where(first.section == "00", odds[:, :2].min(axis=1), odds[:, 2])
    np.testing.assert_allclose(scores, expected, rtol=1e-9)


def test_autoencoders_have_no_softmax_to_average() -> None:
    table = members([1])[0]
    blind = replace(table, classes=(), probabilities=np.zeros((len(table), 1, 0)))
    with pytest.raises(ScoreError, match="no softmax to average"):
        fuse("mean_softmax", [blind, blind])
    np.testing.assert_allclose(fuse("mean", [blind, blind]).score, table.score)


def test_unknown_and_empty() -> None:
    with pytest.raises(ConfigError, match=f"known are {', '.join(FUSIONS)}"):
        fuse("median", members([1]))
    with pytest.raises(ScoreError, match="no member"):
        fuse("mean", [])


def test_section_that_the_network_does_not_know() -> None:
    table = members([1])[0]
    stranger = replace(table, section=np.full(len(table), "07"))
    with pytest.raises(ScoreError, match="section 07 is none of the classes 00, 01"):
        fuse("mean_softmax", [stranger, stranger])


def test_the_registry_is_the_papers_four_and_more() -> None:
    assert tuple(FUSIONS)[:4] == ("best", "mean", "max", "mean_softmax")
    assert len(FUSIONS) == 10 and all(name == fusion.name for name, fusion in FUSIONS.items())
    assert len({fusion.title for fusion in FUSIONS.values()}) == 10
    assert {name for name, fusion in FUSIONS.items() if fusion.needs_softmax} == {"mean_softmax"}
    assert {name for name, fusion in FUSIONS.items() if fusion.chooses} == {"greedy", "diverse"}
    assert {name for name, f in FUSIONS.items() if f.uses_labels} == {"greedy", "diverse", "weighted"}
