"""How much too good an Ω looks because trials, epochs and fusions were chosen by the labels that it is of.

The labelled test clips are split in two halves, by section, domain and class, again and again. On one half
all is chosen anew: the epoch of each trial where its epochs are known, the ranking, the best k, the fusion's
weights, and whether S1 stands in for it. What was chosen is then measured on the half that nobody looked at:

    corrected = mean over splits and directions of Ω on the half that didn't choose
    optimism = Ω on all clips, by which all was chosen, − corrected

Half the clips choose a little worse than all of them, and an Ω of fewer clips is a little lower, so that the
corrected figure is rather too low than too high; how near it comes is in docs/results/ensembles.md. It says
nothing of machines, sections or years that aren't in the data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from oddsound.ensemble.fusions import FUSIONS, fit, fusion_of
from oddsound.errors import ScoreError
from oddsound.scoring.bootstrap import strata
from oddsound.scoring.curves import omegas, weighted_omegas
from oddsound.scoring.omega import Term, terms
from oddsound.scoring.table import UNKNOWN, ScoreTable

Floats = NDArray[np.float64]
N_SPLITS = 25
MAX_EPOCHS = 12
"""Epochs of a trial that are looked at, evenly spaced with the last among them."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A trial that could have been chosen. epochs: (e, labelled), the scores of `table.labelled()`'s clips
    after each evaluated epoch, where the trial's epoch was chosen by them; None where it wasn't.

    Training clips have no scores by epoch, nor any clip its softmax: z-scores and `mean_softmax` take those
    of the trial as it is.
    """

    table: ScoreTable
    epochs: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Optimism:
    """`naive`: Ω on the clips that chose; `corrected`: on clips that didn't; `spread`: the latter's standard
    deviation over splits."""

    naive: float
    corrected: float
    spread: float

    @property
    def optimism(self) -> float:
        return self.naive - self.corrected


@dataclass(frozen=True)
class FusionOptimism:
    """Of one fusion, by machine type and in the mean over them."""

    machines: dict[str, Optimism]
    mean: Optimism


Told = Callable[[str], None]


def estimate_optimism(
    candidates: Mapping[str, Sequence[Candidate]],
    fusions: Sequence[str],
    k: int = 5,
    n_splits: int = N_SPLITS,
    seed: int = 0,
    *,
    fallback: bool = True,
    pinned: Collection[str] = (),
    told: Told = lambda machine: None,
) -> dict[str, FusionOptimism]:
    """By fusion what choosing among the candidates of each machine type adds to its Ω.

    candidates: aligned, in any order. fallback: the best single trial stands in where it is better, and
    always for a machine type that is `pinned`, as in `build_systems`. told: hears of each machine type before
    its turn. Fusions that a machine type can't have, for want of a softmax, are the best single trial there.
    Raises ScoreError where there are no labelled clips, ConfigError for an unknown fusion.
    """
    for name in fusions:
        fusion_of(name)
    found: dict[str, dict[str, tuple[float, Floats]]] = {}
    for machine, of in candidates.items():
        told(machine)
        own = ["best"] if machine in pinned else list(fusions)
        measured = _Machine(machine, of, k, fallback).by_fusion(own, n_splits, seed)
        found[machine] = {name: measured.get(name) or measured["best"] for name in fusions}
    return {name: _together({machine: of[name] for machine, of in found.items()}) for name in fusions}


def _together(found: Mapping[str, tuple[float, Floats]]) -> FusionOptimism:
    naive = float(np.mean([of for of, _ in found.values()]))
    unseen = np.mean([of for _, of in found.values()], axis=0)
    return FusionOptimism({m: _optimism(*of) for m, of in found.items()}, _optimism(naive, unseen))


def _optimism(naive: float, unseen: Floats) -> Optimism:
    """unseen: (splits,), Ω on the half that didn't choose, the mean of both directions."""
    return Optimism(naive, float(unseen.mean()), float(unseen.std(ddof=1)) if len(unseen) > 1 else 0.0)


class _Machine:
    """The candidates of one machine type."""

    def __init__(self, machine: str, candidates: Sequence[Candidate], k: int, fallback: bool) -> None:
        if not candidates:
            raise ScoreError(f"{machine}: no finished trial to choose from")
        self.candidates, self.k, self.fallback = candidates, k, fallback
        table = candidates[0].table
        self.rows = np.flatnonzero((table.split == "test") & (table.label != UNKNOWN))
        self.labelled = table.labelled()
        if not len(self.rows):
            raise ScoreError(f"{machine}: no labelled test clips, so no choice was made by them")
        of = self.labelled
        self.terms: tuple[Term, ...] = terms(of.section, of.domain, of.label, of.rules)
        self.classes = table.classes

    def by_fusion(self, fusions: Sequence[str], n_splits: int, seed: int) -> dict[str, tuple[float, Floats]]:
        """By fusion Ω on all clips, and of each split Ω where it wasn't chosen."""
        everything = np.ones(len(self.rows), dtype=np.bool_)
        scores = np.stack([c.table.score[self.rows] for c in self.candidates])
        order = np.argsort(-omegas(scores, self.terms), kind="stable")
        whole = {
            name: value[0]
            for name, value in self._measured(fusions, order, scores, everything, everything).items()
        }
        halves = list(_halves(self.labelled, n_splits, seed))
        rankings = self._rankings(np.stack([half for pair in halves for half in pair]))
        unseen: dict[str, list[float]] = {name: [] for name in fusions}
        for place, pair in enumerate(halves):
            for direction, (own, other) in enumerate((pair, pair[::-1])):
                ranking, chosen = rankings[2 * place + direction]
                for name, (_, there) in self._measured(fusions, ranking, chosen, own, other).items():
                    unseen[name].append(there)
        return {name: (whole[name], np.array(of).reshape(-1, 2).mean(axis=1)) for name, of in unseen.items()}

    def _rankings(self, halves: NDArray[np.bool_]) -> list[tuple[NDArray[np.intp], Floats]]:
        """For each half the candidates by their Ω on it, the best first, and the scores (candidates,
        labelled) of the epoch that each has then."""
        weights = halves.astype(np.float64)
        best = np.empty((len(self.candidates), len(halves)))
        scores = np.empty((len(halves), len(self.candidates), len(self.rows)))
        for place, candidate in enumerate(self.candidates):
            epochs = self._epochs(candidate)
            found = np.stack([weighted_omegas(epoch, self.terms, weights) for epoch in epochs])
            best[place] = found.max(axis=0)
            scores[:, place] = epochs[found.argmax(axis=0)]
        orders = np.argsort(-best, axis=0, kind="stable").T
        return [(order, of) for order, of in zip(orders, scores, strict=True)]

    def _epochs(self, candidate: Candidate) -> Floats:
        """(e, labelled): what a trial's epoch is chosen from. The epoch that all labels chose isn't among
        them but by chance: it would win on either half, and none of the choice would be seen."""
        if candidate.epochs is None or not len(candidate.epochs):
            return candidate.table.score[self.rows][None]
        places = np.linspace(0, len(candidate.epochs) - 1, MAX_EPOCHS).round().astype(int)
        return np.asarray(candidate.epochs[np.unique(places)], dtype=np.float64)

    def _measured(
        self,
        fusions: Sequence[str],
        ranking: NDArray[np.intp],
        scores: Floats,
        own: NDArray[np.bool_],
        other: NDArray[np.bool_],
    ) -> dict[str, tuple[float, float]]:
        """By fusion Ω on the clips `own`, by which everything is chosen, and on `other`."""
        label = self.candidates[0].table.label.copy()
        label[self.rows[~own]] = UNKNOWN
        chooses = any(FUSIONS[name].chooses for name in fusions)
        ranked = ranking if chooses else ranking[: self.k]
        tables = [self._table(int(i), scores[i], label) for i in ranked]
        weights = np.stack([own, other]).astype(np.float64)
        single = self._omegas(tables[0].score, weights)
        measured = {}
        for name in fusions:
            value = single if name == "best" else self._fused(name, tables, weights)
            measured[name] = single if self.fallback and value[0] < single[0] else value
        return measured

    def _table(self, place: int, scores: Floats, label: NDArray[np.int8]) -> ScoreTable:
        table = self.candidates[place].table
        score = table.score.copy()
        score[self.rows] = scores
        return replace(table, score=score, label=label)

    def _fused(self, name: str, tables: Sequence[ScoreTable], weights: Floats) -> tuple[float, float]:
        fusion = FUSIONS[name]
        if fusion.needs_softmax and not self.classes:
            return self._omegas(tables[0].score, weights)
        given = tables if fusion.chooses else tables[: self.k]
        return self._omegas(fit(name, given, self.k).apply(given).score, weights)

    def _omegas(self, score: Floats, weights: Floats) -> tuple[float, float]:
        here, there = weighted_omegas(score[self.rows], self.terms, weights)
        return float(here), float(there)


def _halves(
    labelled: ScoreTable, n_splits: int, seed: int
) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Two halves of the clips, of each section, domain and class alike; a clip that is alone in its kind is
    in both."""
    digest = hashlib.sha256(f"{seed}/{labelled.machine}".encode()).digest()
    random = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    kinds = strata(labelled)
    for _ in range(n_splits):
        first = np.zeros(len(labelled), dtype=np.bool_)
        second = np.zeros(len(labelled), dtype=np.bool_)
        for rows in kinds:
            shuffled = random.permutation(rows)
            cut = len(rows) // 2 + int(len(rows) % 2 and random.integers(2))
            first[shuffled[:cut]], second[shuffled[cut:]] = True, True
            if len(rows) == 1:
                first[rows], second[rows] = True, True
        yield first, second
