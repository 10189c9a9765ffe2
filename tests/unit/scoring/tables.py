"""Score tables for tests: made up, small, with every section, domain and label."""

import numpy as np

from oddsound.scoring.anomaly import anomaly_score, softmax
from oddsound.scoring.table import ANOMALY, NORMAL, UNKNOWN, ScoreTable

Row = tuple[str, str, str, str, int]
WORDS = {NORMAL: "_normal", ANOMALY: "_anomaly", UNKNOWN: ""}


def names(sections: tuple[str, ...], labels: tuple[int, ...], n: int) -> list[Row]:
    return [
        (f"section_{s}_{d}_test{WORDS[label]}_{i:04d}.wav", s, d, "test", label)
        for s in sections
        for d in ("source", "target")
        for label in labels
        for i in range(n)
    ]


def score_table(
    machine: str = "fan",
    seed: int = 0,
    n: int = 12,
    sections: tuple[str, ...] = ("00", "01"),
    evaluation: tuple[str, ...] = (),
    segments: int = 1,
    skill: float = 1.0,
) -> ScoreTable:
    """Test clips of `sections` (n a section, domain and label), evaluation clips of `evaluation`, and
    training clips of both; anomalies score higher by about `skill` standard deviations."""
    rows = names(sections, (NORMAL, ANOMALY), n) + names(evaluation, (UNKNOWN,), n)
    classes = (*sections, *evaluation)
    rows += [
        (f"section_{s}_source_train_normal_{i:04d}.wav", s, "source", "train", NORMAL)
        for s in classes
        for i in range(n)
    ]
    file, section, domain, split, label = (np.array(column) for column in zip(*rows, strict=True))
    target = np.array([classes.index(s) for s in section])
    logits = np.random.default_rng(seed).normal(size=(len(rows), segments, len(classes)))
    own = 3 - skill * (label == ANOMALY)
    logits[np.arange(len(rows))[:, None], np.arange(segments), target[:, None]] += own[:, None]
    score = anomaly_score(logits, target)
    return ScoreTable(
        machine, classes, file, section, domain, split, label.astype(np.int8), score, softmax(logits)
    )
