"""Systems as models that anyone can load, as `tracking.packaged` has those of single trials.

    ensemble.json                      by machine type its fusion, what it learned, members and thresholds
    members/<machine>/<trial>/         each member's config.json, detector.json and weights.safetensors
    MLmodel, oddsound_model.py, …      for MLflow's own tools
    manifest.json                      the SHA-256 of each of them

All machine types are in one model; of its members only those of the machine type asked for are read.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationError

from oddsound.config import Strict, TrialConfig
from oddsound.ensemble.fusions import FUSIONS, Fitted, FusionState
from oddsound.ensemble.systems import MachineSystem, Member, System
from oddsound.errors import ModelError, RecordingError
from oddsound.scoring.table import ScoreTable
from oddsound.scoring.threshold import Method
from oddsound.tracking.mlmodel import write_mlmodel
from oddsound.training.facts import CONFIG, FACTS, WEIGHTS, DetectorFacts, Finite, SectionFacts, section_facts
from oddsound.training.sealed import Sealed, Sha256, as_json, seal, unseal
from oddsound.training.verdicts import NewClip

if TYPE_CHECKING:
    from oddsound.training.detector import Detector

ENSEMBLE = "ensemble.json"
_CODE = '''"""Loads this model where MLflow's own tools ask for it; `oddsound predict` never runs it."""

from oddsound.ensemble.packaged import serve_system

serve_system()
'''


class MemberFacts(Strict):
    """A trial within an ensemble; its files lie in `members/<machine>/<trial>`."""

    trial: str = Field(pattern=r"^[0-9a-f]{16}$")
    omega: Finite
    weights_sha256: Sha256


class MachineFacts(Strict):
    """How one machine type's members, the best one first, become one; `pinned_to_s1`: why it is S1's model,
    "" where it isn't. `state`: what the fusion learned of these members; {} where that is nothing, and in
    models of earlier versions. The thresholds of `sections` are those of the fused training scores."""

    fusion: str
    pinned_to_s1: str
    omega: Finite | None
    omega_raw: Finite | None
    members: tuple[MemberFacts, ...] = Field(min_length=1)
    state: dict[str, Any] = Field(default_factory=dict)
    sections: dict[str, SectionFacts]


class EnsembleFacts(Strict):
    """ensemble.json."""

    number: int
    name: str
    machines: dict[str, MachineFacts]


@dataclass(frozen=True, eq=False)
class Fused:
    """One machine type's detectors as one."""

    where: str
    machine: str
    facts: MachineFacts
    fitted: Fitted
    detectors: tuple[Detector, ...]

    @property
    def sample_rate(self) -> int:
        return self.detectors[0].sample_rate

    @property
    def full_samples(self) -> int:
        return max(detector.full_samples for detector in self.detectors)

    @property
    def sections(self) -> Mapping[str, SectionFacts]:
        return self.facts.sections

    def table(self, clips: Sequence[NewClip]) -> ScoreTable:
        """The fused scores of the clips; errors as of `Detector.table`."""
        return self.fitted.apply([detector.table(clips) for detector in self.detectors])


def package_system(
    system: System,
    models: Mapping[tuple[str, str], Path],
    folder: Path,
    threshold: Method = "gamma",
) -> str:
    """Write the system's model into `folder`, which is made; the SHA-256 of its manifest.

    `models`: by machine type and trial the folder of each member's packaged model; `threshold`: how those
    of its sections are found. The same system gives
    the same bytes. Raises ModelError where a member's model is damaged or another's.
    """
    folder.mkdir(parents=True)
    facts = EnsembleFacts(
        number=system.number,
        name=system.name,
        machines={machine: _machine_facts(of, threshold) for machine, of in system.machines.items()},
    )
    (folder / ENSEMBLE).write_bytes(as_json(facts.model_dump()))
    members = [
        _copy_member(machine, member, models, folder)
        for machine, of in system.machines.items()
        for member in of.members
    ]
    machine, first = next(iter(facts.machines.items()))
    example = {"machine": machine, "section": next(iter(first.sections), "")}
    config = TrialConfig.model_validate(next(iter(system.machines.values())).members[0].config)
    write_mlmodel(folder, _CODE, example, config.features, max(member.finished for member in members))
    return seal(folder, "system")


def _machine_facts(of: MachineSystem, threshold: Method) -> MachineFacts:
    return MachineFacts(
        fusion=of.fusion,
        pinned_to_s1=of.pinned_to_s1,
        omega=of.omega,
        omega_raw=of.omega_raw,
        members=tuple(
            MemberFacts(trial=m.trial, omega=m.omega, weights_sha256=m.weights_sha256) for m in of.members
        ),
        state=of.fitted.state.model_dump(mode="json"),
        sections=section_facts(of.table, threshold),
    )


def _copy_member(
    machine: str, member: Member, models: Mapping[tuple[str, str], Path], folder: Path
) -> DetectorFacts:
    """Copy the three files that a detector is made of; what is known of it."""
    source = models.get((machine, member.trial))
    if source is None:
        raise ModelError(f"{machine}: no packaged model of the member {member.trial} was given")
    sealed = unseal(source, str(source))
    facts = sealed.document(FACTS, DetectorFacts)
    if sealed.manifest.files.get(WEIGHTS) != member.weights_sha256 or facts.trial != member.trial:
        raise ModelError(f"{source}: the model of another trial than {machine}/{member.trial}")
    target = folder / _place(machine, member.trial)
    target.mkdir(parents=True)
    for name in (CONFIG, FACTS, WEIGHTS):
        shutil.copyfile(sealed.path(name), target / name)
    return facts


def read_system(sealed: Sealed) -> EnsembleFacts:
    """What a system's model says of itself. Raises ModelError where it is none."""
    facts = sealed.document(ENSEMBLE, EnsembleFacts)
    for machine, of in facts.machines.items():
        _fitted(f"{sealed.where}: {machine}", of)
    return facts


def _fitted(where: str, of: MachineFacts) -> Fitted:
    """The fusion with its state. Raises ModelError where one of them is none of ours, or of other members."""
    if of.fusion not in FUSIONS:
        raise ModelError(f"{where} has the fusion {of.fusion!r}, unknown to this version")
    n_members = len(of.members)
    kind = FusionState if n_members == 1 else FUSIONS[of.fusion].State
    try:
        state = kind.model_validate(of.state)
    except ValidationError as error:
        why = " ".join(str(error).splitlines()[:3])[:300]
        raise ModelError(
            f"{where}: the state of its fusion {of.fusion} isn't what oddsound wrote ({why})"
        ) from error
    if state.n_members() not in (None, n_members):
        raise ModelError(
            f"{where}: the state of fusion {of.fusion} is of {state.n_members()} members; it has {n_members}"
        )
    if lacking := state.lacks(list(of.sections)):
        raise ModelError(f"{where}: the state of its fusion {of.fusion} lacks section {lacking[0]}")
    return Fitted(of.fusion, state, tuple(range(n_members)), n_members)


def load_fused(sealed: Sealed, facts: EnsembleFacts, machine: str) -> Fused:
    """The system's model of one machine type; the members of others are not even fetched.

    Raises ModelError for a member that isn't what the system says, RecordingError for a machine type
    that the system doesn't have.
    """
    if machine not in facts.machines:
        raise RecordingError(
            f"machine type {machine!r} is unknown to {sealed.where}; it knows {', '.join(facts.machines)}"
        )
    of = facts.machines[machine]
    detectors = tuple(_load_members(sealed, machine, of.members))
    if len({detector.sample_rate for detector in detectors}) > 1:
        raise ModelError(f"{sealed.where}: the members of {machine} are of different sample rates")
    return Fused(sealed.where, machine, of, _fitted(f"{sealed.where}: {machine}", of), detectors)


def _load_members(sealed: Sealed, machine: str, members: Iterable[MemberFacts]) -> Iterable[Detector]:
    from oddsound.training.detector import load_detector

    for member in members:
        place = f"{_place(machine, member.trial)}/"
        detector = load_detector(sealed, place)
        weights = sealed.manifest.files[f"{place}{WEIGHTS}"]
        if (detector.machine, detector.facts.trial, weights) != (
            machine,
            member.trial,
            member.weights_sha256,
        ):
            raise ModelError(f"{sealed.where}: {place} holds another trial than {ENSEMBLE} says")
        yield detector


def serve_system() -> None:
    """What the code file of a system's model runs."""
    from oddsound.tracking.pyfunc import serve

    serve(_open)


def _open(sealed: Sealed) -> Callable[[str], Fused]:
    """Loads a machine type's members when the first clip of it comes."""
    facts = read_system(sealed)
    return cache(lambda machine: load_fused(sealed, facts, machine))


def _place(machine: str, trial: str) -> str:
    return f"members/{machine}/{trial}"
