"""What MLflow runs when somebody loads one of our models with MLflow's own tools.

The code file of a packaged model calls `serve`; the model's data goes through the same strict loader as
everywhere. That it is this code that runs, and not another, only the store can promise: whoever loads a
model so trusts all who may write to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from numpy.typing import NDArray

from oddsound.errors import OddsoundError
from oddsound.training.sealed import Sealed, unseal
from oddsound.training.verdicts import MachineModel, NewClip, Verdict, verdicts

Open = Callable[[Sealed], Callable[[str], MachineModel]]
"""From a sealed model what gives its model of a machine type; "" where the caller named none."""

_COLUMNS = ("anomaly_score", "threshold", "decision", "section_probabilities")


class Served(PythonModel):
    """`waveform` (clips, samples), `section` and of a system `machine` (clips,) in; a row a clip out."""

    def __init__(self, open_model: Open) -> None:
        self._open = open_model

    def load_context(self, context: PythonModelContext) -> None:
        """Check the seal and load the model that lies beside its manifest."""
        folder = Path(context.artifacts["manifest"]).parent
        sealed = unseal(folder, str(folder))
        sealed.check()
        self._of_machine = self._open(sealed)

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Columns anomaly_score, threshold, decision, section_probabilities; the rows as they came.

        `model_input` is a dict of arrays, by the signature; MLflow knows no hint for that.
        """
        waveforms = np.asarray(model_input["waveform"], np.float32)
        sections = [str(section) for section in model_input["section"]]
        machines = [str(machine) for machine in model_input.get("machine", [""] * len(sections))]
        if not len(waveforms) == len(sections) == len(machines):
            raise MlflowException.invalid_parameter_value(
                f"{len(waveforms)} waveforms for {len(sections)} sections; give one each"
            )
        try:
            rows = self._verdicts(machines, sections, waveforms)
        except OddsoundError as error:  # so that a server answers 400 with this line
            raise MlflowException.invalid_parameter_value(str(error)) from error
        return pd.DataFrame([{c: getattr(row, c) for c in _COLUMNS} for row in rows], columns=_COLUMNS)

    def _verdicts(
        self, machines: Sequence[str], sections: Sequence[str], waveforms: NDArray[np.float32]
    ) -> list[Verdict]:
        """In the order of the rows; those of one machine type are scored together."""
        found: dict[int, Verdict] = {}
        for machine in dict.fromkeys(machines):
            numbers = [number for number, of in enumerate(machines) if of == machine]
            clips = [
                NewClip(f"clip {number}", sections[number], np.ascontiguousarray(waveforms[number]))
                for number in numbers
            ]
            found.update(zip(numbers, verdicts(self._of_machine(machine), clips), strict=True))
        return [found[number] for number in range(len(machines))]


def serve(open_model: Open) -> None:
    """Make what `open_model` opens the model that MLflow is loading."""
    set_model(Served(open_model))
