"""Small systems S1 to S4, and authors, to write packages of."""

from collections.abc import Sequence

from tests.unit.scoring.tables import score_table

from oddsound.ensemble.systems import Member, System, build_systems
from oddsound.scoring.omega import cells, omega
from oddsound.submission.authors import Affiliation, Author, Authors

CONFIG = {
    "features": {"sample_rate": 16_000, "median_frames": 0},
    "augment": {"mixup_alpha": 0.0, "time_mask_frames": 31, "time_shift": 0.15},
    "model": {"backbone": "efficientnet_b0", "pretrained": "none"},
    "loss": {"contrastive_weight": 1.0},
    "training": {"target_share": 0.2},
}
OFFICIAL = ("fan", "gearbox", "pump", "slider", "ToyCar", "ToyTrain", "valve")


def small_systems(
    machines: Sequence[str] = ("fan", "ToyCar"),
    sections: tuple[str, ...] = ("00", "01"),
    evaluation: tuple[str, ...] = (),
    n: int = 10,
    n_members: int = 2,
    configs: Sequence[dict[str, object]] = (CONFIG, CONFIG),
) -> tuple[System, ...]:
    members = {}
    for machine in machines:
        tables = [
            score_table(machine, seed, n, sections, evaluation, segments=2) for seed in range(n_members)
        ]
        members[machine] = [
            Member(f"t{i}", omega(cells(table)) if sections else 0.5, 1000 + i, configs[i], table, "0" * 64)
            for i, table in enumerate(tables)
        ]
    return build_systems(members, fallback=False)


def authors(lastname: str = "Kim", inst: str = "EXU", corresponding: bool = True) -> Authors:
    place = Affiliation(abbreviation=inst, institute="Example University")
    author = Author(
        lastname=lastname,
        firstname="Ada",
        email="ada@example.org",
        corresponding=corresponding,
        affiliation=place,
    )
    return Authors(authors=(author,))
