"""meta.yaml of a submitted system: its grammar, and the facts that oddsound fills in.

The models take more keys than they name, because the check reads other people's packages too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field

from oddsound.ensemble.fusions import FUSIONS
from oddsound.ensemble.systems import MachineSystem, Member, System
from oddsound.scoring.curves import weighted_values
from oddsound.scoring.omega import harmonic_mean, terms
from oddsound.scoring.threshold import Method
from oddsound.submission.authors import LABEL, Authors

Text = Annotated[str, Field(min_length=1)]
Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
_BACKBONES = {
    "efficientnet_b0": "EfficientNet-B0",
    "tf_efficientnet_b0": "EfficientNet-B0",
    "tf_efficientnet_lite0": "EfficientNet-Lite0",
    "mobilenetv2": "MobileNetV2",
}
_THRESHOLDS: dict[Method, str] = {
    "gamma": "90th percentile of a gamma distribution fitted to the training clips' scores",
    "empirical": "90th percentile of the training clips' scores",
}


class _Open(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


class AuthorEntry(_Open):
    """An author as the organisers' grammar has it; the affiliation may be one or a list."""

    lastname: Text
    firstname: Text
    email: Text
    corresponding: bool = False
    affiliation: dict[str, Any] | list[dict[str, Any]]


class SubmissionEntry(_Open):
    label: Annotated[str, Field(pattern=f"^{LABEL.pattern}$")]
    name: Text
    abbreviation: Annotated[str, Field(min_length=1, max_length=10)]
    authors: Annotated[list[AuthorEntry], Field(min_length=1)]


class Description(_Open):
    """What the system is; None where it has nothing of the kind. Every key must be there."""

    input_sampling_rate: Any
    data_augmentation: Any
    front_end: Any
    acoustic_features: Any
    embeddings: Any
    machine_learning_method: Any
    aggregation_method: Any
    domain_adaptation_method: Any
    ensemble_method_subsystem_count: Any
    decision_making: Any
    external_data_usage: Any
    development_data_usage: Any


class Complexity(_Open):
    total_parameters: Annotated[int, Field(ge=0)]


class SystemEntry(_Open):
    description: Description
    complexity: Complexity
    source_code: str | None = None


class Results(_Open):
    development_dataset: dict[str, dict[str, Percent | None] | None]
    """By machine type, in per cent: harmonic means over sections and domains of AUC and pAUC."""


class Meta(_Open):
    submission: SubmissionEntry
    system: SystemEntry
    results: Results


def meta_of(
    system: System, authors: Authors, source_code: str | None = None, method: Method = "gamma"
) -> Meta:
    """The meta.yaml of one system, from what its tables and its members' configurations say."""
    return Meta(
        submission=SubmissionEntry(
            label=authors.label(system.number),
            name=f"oddsound S{system.number}: {system.name}",
            abbreviation=f"oddsnd_S{system.number}",
            authors=[AuthorEntry(**author.model_dump(exclude_none=True)) for author in authors.authors],
        ),
        system=SystemEntry(
            description=describe(system, method),
            complexity=Complexity(total_parameters=sum(m.n_parameters for m in members_of(system))),
            source_code=source_code,
        ),
        results=Results(
            development_dataset={
                machine: _results(of) for machine, of in system.machines.items() if of.omega is not None
            }
        ),
    )


def dump(meta: Meta) -> str:
    """The YAML text of `meta`, its keys in the organisers' order."""
    return str(yaml.safe_dump(meta.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100))


def members_of(system: System) -> list[Member]:
    """Every trial that the system's scores are made of, over all machine types."""
    return [member for machine in system.machines.values() for member in machine.members]


def describe(system: System, method: Method = "gamma") -> Description:
    """`system.description` of meta.yaml: true of these members, None where there is nothing to say."""
    members, machines = members_of(system), list(system.machines.values())
    is_labelled = any(machine.omega is not None for machine in machines)
    return Description(
        input_sampling_rate=_listed(
            f"{_at(m, 'features.sample_rate', 16_000) / 1000:g} kHz" for m in members
        ),
        data_augmentation=_augmentation(members),
        front_end=_front_end(members),
        acoustic_features="log-mel energies",
        embeddings=None,
        machine_learning_method=_listed(_method(member) for member in members),
        aggregation_method=_aggregation(machines),
        domain_adaptation_method=_domain_adaptation(machines),
        ensemble_method_subsystem_count=max((len(machine.members) for machine in machines), default=0),
        decision_making=f"{system.name}; threshold per section: {_THRESHOLDS[method]}",
        external_data_usage=_external_data(members),
        development_data_usage=_development_data(machines) if is_labelled else None,
    )


def _results(machine: MachineSystem) -> dict[str, float | None]:
    of = machine.table.labelled()
    found = terms(of.section, of.domain, of.label, of.rules)
    values = weighted_values(of.score, found, np.ones((1, len(of))))[0]
    return {
        f"harmonic_mean_{metric}": 100
        * harmonic_mean(value for term, value in zip(found, values, strict=True) if term.metric == metric)
        for metric in ("auc", "pauc")
    }


def _augmentation(members: list[Member]) -> str | None:
    settings = {
        "mixup": "augment.mixup_alpha",
        "time masking": "augment.time_mask_frames",
        "time shifting": "augment.time_shift",
    }
    used = {what: [m for m in members if _at(m, path, 0) > 0] for what, path in settings.items()}
    return _and(_share(what, of, members) for what, of in used.items())


def _front_end(members: list[Member]) -> str | None:
    used: dict[int, list[Member]] = {}
    for member in members:
        used.setdefault(int(_at(member, "features.median_frames", 0)), []).append(member)
    return _and(_share(f"median filter ({w} frames)", used[w], members) for w in sorted(used) if w > 0)


def _method(member: Member) -> str:
    architecture = _at(member, "model.architecture", "joint")
    if architecture == "autoencoder":
        return "autoencoder"
    backbone = str(_at(member, "model.backbone", "unknown"))
    contrastive = architecture == "joint" and _at(member, "loss.contrastive_weight", 0) > 0
    return _BACKBONES.get(backbone, backbone) + (" with a contrastive autoencoder" if contrastive else "")


def _aggregation(machines: list[MachineSystem]) -> str | None:
    tables = [m.table for machine in machines for m in machine.members]
    has_errors = any(not table.classes for table in tables)
    has_segments = any(table.probabilities.shape[1] > 1 for table in tables)
    return _and(
        [
            "mean over segments" if has_segments else None,
            "mean squared error over vectors" if has_errors else None,
        ]
    )


def _domain_adaptation(machines: list[MachineSystem]) -> str | None:
    """Oversampling of the target domain; without target clips to train on there is nothing to draw."""
    drawn = [
        _at(member, "training.target_share", 0)
        for machine in machines
        for member in machine.members
        if (member.table.train().domain == "target").any()
    ]
    shares = sorted({share for share in drawn if share > 0})
    return _and(f"{100 * share:g} % of draws from the target domain" for share in shares)


def _development_data(machines: list[MachineSystem]) -> str:
    """What the labels of the development test clips were used for."""
    learned = {of.fusion for of in machines if FUSIONS[of.fusion].uses_labels and len(of.members) > 1}
    fusions = f"; members or weights of the fusion {_listed(learned)} learned from them" if learned else ""
    return f"trials chosen by omega on the labelled test clips{fusions}"


def _external_data(members: list[Member]) -> str | None:
    weights = {str(_at(member, "model.pretrained", "none")) for member in members} - {"none"}
    return _and(f"pretrained weights {name}" for name in sorted(weights))


def _at(member: Member, path: str, default: Any) -> Any:
    """The setting at the dotted `path` of the member's configuration, or `default`."""
    value: Any = member.config
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return default if value is None else value


def _share(what: str, of: list[Member], members: list[Member]) -> str | None:
    """`what`, with a count where not all members have it; None where none has."""
    if not of:
        return None
    return what if len(of) == len(members) else f"{what} ({len(of)} of {len(members)} models)"


def _and(parts: Iterable[str | None]) -> str | None:
    return ", ".join(part for part in parts if part) or None


def _listed(parts: Iterable[str]) -> str:
    return ", ".join(sorted(set(parts)))
