"""What each year of the challenge asked for, as one table: names of CSVs, metric, evaluation set.

Facts from the task's pages and the organisers' evaluators of 2020 to 2024, from the descriptions of the
evaluation sets of 2025 and 2026 (their ground truths were not public when this was written), and from
submissions of 2026. 2022 and later differ in their evaluation sets alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from oddsound.errors import ConfigError
from oddsound.recordings.clip import Layout
from oddsound.scoring.table import Rules, ScoreTable

_SECTIONS_2021 = ("03", "04", "05")


@dataclass(frozen=True, slots=True)
class Year:
    """One year's challenge. `sections`: of the evaluation set, by machine type. `first_number`: that of
    the evaluation recordings' names (None where it isn't known, or they aren't numbered without a gap)."""

    name: str
    layout: Layout
    sections: Mapping[str, tuple[str, ...]]
    first_number: int | None = 0


def has_decisions(layout: Layout) -> bool:
    """Whether decision_result CSVs were asked for; 2020 asked for scores alone."""
    return layout != "2020"


def layout_of_table(table: ScoreTable) -> Layout:
    """The layout of the recordings that a table is of."""
    if table.rules == "2022":
        return "2022"
    return "2020" if len(table) and not str(table.file[0]).startswith("section_") else "2021"


def rules_of(layout: Layout) -> Rules:
    """By which definition of AUC and pAUC recordings of this layout are judged."""
    return "2022" if layout == "2022" else "2021"


def _alike(machines: str, sections: tuple[str, ...] = ("00",)) -> Mapping[str, tuple[str, ...]]:
    return MappingProxyType(dict.fromkeys(machines.split(), sections))


_2020 = MappingProxyType(
    {
        **_alike("fan pump slider valve", ("01", "03", "05")),
        "ToyCar": ("05", "06", "07"),
        "ToyConveyor": ("04", "05", "06"),
    }
)
YEARS: Mapping[str, Year] = MappingProxyType(
    {
        year.name: year
        for year in (
            Year("2020", "2020", _2020, first_number=None),
            Year("2021", "2021", _alike("fan gearbox pump slider ToyCar ToyTrain valve", _SECTIONS_2021)),
            Year("2022", "2022", _alike("bearing fan gearbox slider ToyCar ToyTrain valve", _SECTIONS_2021)),
            Year("2023", "2022", _alike("bandsaw grinder shaker ToyDrone ToyNscale ToyTank Vacuum")),
            Year(
                "2024",
                "2022",
                _alike(
                    "3DPrinter AirCompressor BrushlessMotor HairDryer HoveringDrone RoboticArm Scanner "
                    "ToothBrush ToyCircuit"
                ),
                first_number=1,
            ),
            Year(
                "2025",
                "2022",
                _alike("AutoTrash BandSealer CoffeeGrinder HomeCamera Polisher ScrewFeeder ToyPet ToyRCCar"),
                first_number=None,
            ),
            Year("2026", "2022", _alike("BlowerDustCollector Sander SewingMachine ToothBrush ToyDrone")),
        )
    }
)


def year_named(name: str) -> Year:
    """The year of this name. Raises ConfigError, which lists those that are known."""
    if name not in YEARS:
        raise ConfigError(f"no challenge of the year {name!r} is known; known are {', '.join(YEARS)}")
    return YEARS[name]


def year_of(layout: Layout, cells: Iterable[tuple[str, str]]) -> Year:
    """The year of this layout whose evaluation set shares most of these (machine type, section).

    2023 to 2026 are told apart by their machine types alone; of years that share equally many the
    latest is taken.
    """
    known = set(cells)

    def shared(year: Year) -> tuple[float, str]:
        asked = {(machine, section) for machine, found in year.sections.items() for section in found}
        return len(asked & known) / len(asked), year.name

    return max((year for year in YEARS.values() if year.layout == layout), key=shared)
