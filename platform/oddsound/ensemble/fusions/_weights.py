"""A weighted mean of z-scores: what the fusions that find weights have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Self

import numpy as np
from pydantic import Field, model_validator

from oddsound.config import Weight
from oddsound.ensemble.fusions._base import Fusion, pooled
from oddsound.ensemble.fusions._scales import Float, Scales
from oddsound.scoring.table import ScoreTable


class Weights(Scales):
    """Each member's weight beside its scales; they sum to one."""

    weights: tuple[Weight, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _is_a_mean(self) -> Self:
        if len(self.weights) != len(self.members) or abs(sum(self.weights) - 1) > 1e-9:
            raise ValueError(f"{len(self.members)} members need as many weights, whose sum is 1")
        return self


class WeightedMean(Fusion[Weights]):
    """The score is Σ w_i z_i."""

    State = Weights

    def apply(self, tables: Sequence[ScoreTable], state: Weights) -> ScoreTable:
        score = weighted_sum(state.z(tables), state.weights)
        return replace(tables[0], score=score, probabilities=pooled(tables, state.weights))


def weighted_sum(z: Sequence[Float] | Float, weights: Sequence[float]) -> Float:
    """(n,) Σ w_i z_i. One member after the other: a matrix product's last bit depends on the other clips."""
    total = np.zeros_like(z[0])
    for weight, of in zip(weights, z, strict=True):
        total += weight * of
    return total
