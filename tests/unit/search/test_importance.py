"""What run.json says of a space is read back, and what matters is found."""

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from oddsound.errors import ConfigError
from oddsound.search.importance import importances, recorded_dimensions
from oddsound.search.space import load_space


@pytest.mark.parametrize("machine", ["fan", "valve", "ToyCar"])
def test_a_space_comes_back_from_run_json(machine: str) -> None:
    space = load_space(machine)
    found = recorded_dimensions(space.settings()["space"])
    assert {name: dimension.distribution() for name, dimension in found.items()} == space.dimensions


@pytest.mark.parametrize(
    "distribution",
    [
        FloatDistribution(1e-5, 1.0, log=True),
        IntDistribution(1, 30),
        CategoricalDistribution((0, 0.5, True, "it's")),
    ],
)
def test_every_distribution_comes_back(distribution: FloatDistribution) -> None:
    found = recorded_dimensions({"x": repr(distribution)})["x"].distribution()
    assert found == distribution


@pytest.mark.parametrize(
    "spelt",
    [
        "",
        "3",
        "__import__('os').system('true')",
        "FloatDistribution(high=f(), low=0)",
        "Float(low=1.0)",
        "(" * 999,
    ],
)
def test_nothing_else_is_read(spelt: str) -> None:
    with pytest.raises(ConfigError, match=r"the space of loss\.rho can't be read"):
        recorded_dimensions({"loss.rho": spelt})


DIMENSIONS = recorded_dimensions(
    dict.fromkeys(("matters", "idles"), "FloatDistribution(high=1.0, log=False, low=0.0, step=None)")
)
POINTS = [{"matters": (7 * i % 20) / 20, "idles": (11 * i % 20) / 20} for i in range(20)]


def test_what_matters_is_first_and_it_is_the_same_each_time() -> None:
    values = [point["matters"] for point in POINTS]
    found = importances(DIMENSIONS, POINTS, values)
    assert next(iter(found)) == "matters" and found["matters"] > 0.9
    assert sum(found.values()) == pytest.approx(1)
    assert importances(DIMENSIONS, POINTS, values) == found


@pytest.mark.parametrize("n", [0, 1, 3])
def test_few_trials_say_nothing(n: int) -> None:
    assert importances(DIMENSIONS, POINTS[:n], [0.1 * i for i in range(n)]) == {}


def test_trials_that_are_all_as_good_or_alike_say_nothing() -> None:
    assert importances(DIMENSIONS, POINTS, [0.5] * 20) == {}
    assert importances(DIMENSIONS, [POINTS[0]] * 5, [0.5, 0.6, 0.5, 0.6, 0.5]) == {}
    assert importances({}, [{}] * 5, [0.1, 0.2, 0.3, 0.4, 0.5]) == {}
