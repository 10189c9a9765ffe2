"""docs/paper.md names functions, tests and settings that exist, and leaves no part of the paper out."""

import ast
import importlib
import re
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from oddsound.config import RecipeName, TrialConfig, flattened
from oddsound.recipes import recipe_settings
from oddsound.report.paper_figures import PAPER

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "paper.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith(("| ---", "| paper |"))
]
CODE = re.findall(r"`([^`\n]+)`", PAGE)
FUNCTIONS = sorted({code for code in CODE if re.fullmatch(r"oddsound(\.\w+)+", code)})
TESTS = sorted({code for code in CODE if code.startswith("tests/")})
SETTING = re.compile(r"`((?:features|augment|model|loss|training)\.\w+)(?:=([^`]+))?`")


def resolved(dotted: str) -> Any:
    """The module, function, class or method of that name."""
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            found = getattr(found, part)
        return found
    raise ModuleNotFoundError(dotted)


@cache
def functions_in(path: Path) -> frozenset[str]:
    return frozenset(
        node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_of_the_page_exists(name: str) -> None:
    assert resolved(name) is not None


@pytest.mark.parametrize("name", TESTS)
def test_a_test_of_the_page_exists(name: str) -> None:
    path, _, test = name.partition("::")
    assert test.startswith("test_") and test in functions_in(ROOT / path)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].replace("`", ""))
def test_every_row_names_a_function_and_a_test(row: list[str]) -> None:
    assert len(row) == 4, row
    assert "`oddsound." in row[2]
    assert "`tests/" in row[3]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].replace("`", ""))
def test_a_setting_of_a_row_has_the_value_that_it_says(row: list[str]) -> None:
    """The recipe's in a row of a recipe, otherwise the default."""
    recipe = next((name for name in get_args(RecipeName) if row[0].startswith(f"`{name}`")), None)
    settings = recipe_settings(recipe) if recipe else {}
    found = flattened(TrialConfig.model_validate({"machine": "fan", **settings}).model_dump())
    for key, value in SETTING.findall(row[1]):
        assert key in found
        if value:
            written = yaml.safe_load(value)
            assert (float(written) if isinstance(found[key], float) else written) == found[key]


def test_nothing_of_the_paper_is_left_out() -> None:
    begins = [row[0].replace("`", "") for row in ROWS]
    wanted = [*(f"eq. {number}" for number in range(1, 8)), *PAPER, "Table 2", "§2.4", "§3"]
    wanted += ["§2.1", "§2.2", "§2.3", "§3.1", "§3.2"]
    missing = [
        part for part in wanted if not any(re.match(rf"{re.escape(part)}\b", begin) for begin in begins)
    ]
    assert not missing


def test_there_is_something_to_check() -> None:
    assert len(FUNCTIONS) > 40 and len(TESTS) > 50
