from dataclasses import replace

import numpy as np
import pytest
import yaml
from tests.unit.submission.systems import CONFIG, small_systems

from oddsound.config import overlay
from oddsound.ensemble.systems import build_systems
from oddsound.scoring.omega import cells, harmonic_mean
from oddsound.submission.authors import PLACEHOLDER
from oddsound.submission.meta import Meta, describe, dump, meta_of


def test_round_trip_and_figures() -> None:
    systems = small_systems()
    for system in systems:
        meta = Meta.model_validate(yaml.safe_load(dump(meta_of(system, PLACEHOLDER, "https://example.org"))))
        assert meta.submission.label == f"Lastname_INST_task2_{system.number}"
        assert len(meta.submission.abbreviation) <= 10
        assert meta.system.source_code == "https://example.org"
        results = meta.results.development_dataset["ToyCar"]
        of = cells(system.machines["ToyCar"].table)
        assert results is not None
        assert results["harmonic_mean_auc"] == pytest.approx(100 * harmonic_mean(c.auc for c in of))
        assert results["harmonic_mean_pauc"] == pytest.approx(100 * harmonic_mean(c.pauc for c in of))


def test_parameters_are_summed_over_members_and_machine_types() -> None:
    single, ensemble = small_systems()[:2]
    assert meta_of(ensemble, PLACEHOLDER).system.complexity.total_parameters == 2 * (1000 + 1001)
    chosen = sum(of.members[0].n_parameters for of in single.machines.values())
    assert meta_of(single, PLACEHOLDER).system.complexity.total_parameters == chosen


def test_description_says_what_was_done() -> None:
    single, ensemble = small_systems()[:2]
    assert describe(single).model_dump() == {
        "input_sampling_rate": "16 kHz",
        "data_augmentation": "time masking, time shifting",
        "front_end": None,
        "acoustic_features": "log-mel energies",
        "embeddings": None,
        "machine_learning_method": "EfficientNet-B0 with a contrastive autoencoder",
        "aggregation_method": "mean over segments",
        "domain_adaptation_method": None,
        "ensemble_method_subsystem_count": 1,
        "decision_making": "best single model; threshold per section: 90th percentile of a gamma "
        "distribution fitted to the training clips' scores",
        "external_data_usage": None,
        "development_data_usage": "trials chosen by omega on the labelled test clips",
    }
    assert describe(ensemble).ensemble_method_subsystem_count == 2


def test_what_only_some_members_have_is_counted() -> None:
    other = overlay(CONFIG, {"features": {"median_frames": 30}, "augment": {"mixup_alpha": 0.2}})
    other = overlay(other, {"model": {"pretrained": "audioset"}})
    told = describe(small_systems(configs=[CONFIG, other])[1])
    assert told.front_end == "median filter (30 frames) (2 of 4 models)"
    assert told.data_augmentation == "mixup (2 of 4 models), time masking, time shifting"
    assert told.external_data_usage == "pretrained weights audioset"


def test_oversampling_is_told_where_there_were_target_clips_to_draw() -> None:
    system = small_systems(["fan"], n_members=1)[0]
    assert describe(system).domain_adaptation_method is None
    of = system.machines["fan"]
    train = of.members[0].table.split == "train"
    table = replace(of.members[0].table, domain=np.where(train, "target", "source"))
    system.machines["fan"] = replace(of, members=(replace(of.members[0], table=table),))
    assert describe(system).domain_adaptation_method == "20 % of draws from the target domain"


def test_a_configuration_that_says_nothing() -> None:
    told = describe(small_systems(configs=[{"model": None}, {"x": {}}])[0])
    assert told.data_augmentation is None
    assert told.machine_learning_method == "unknown"


def test_no_results_without_labels() -> None:
    meta = meta_of(small_systems(sections=(), evaluation=("03", "04"))[0], PLACEHOLDER)
    assert meta.results.development_dataset == {}
    assert meta.system.description.development_data_usage is None


def test_it_says_what_was_learned_from_the_labels() -> None:
    members = {"fan": [m for system in small_systems(["fan"]) for m in system.machines["fan"].members][1:3]}
    plain, learned = build_systems(members, fallback=False, fusions=("mean", "weighted"))
    assert describe(plain).development_data_usage == "trials chosen by omega on the labelled test clips"
    assert "fusion weighted learned from them" in describe(learned).development_data_usage
