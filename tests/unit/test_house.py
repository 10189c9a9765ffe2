"""The shape of the house: what DESIGN's layout and import contract promise."""

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "platform" / "oddsound"


def test_platform_is_no_package() -> None:
    """platform/__init__.py would shadow Python's own `platform`, and torch, uuid and pytest die of it."""
    assert not (ROOT / "platform" / "__init__.py").exists()
    import platform

    assert platform.python_version()


def test_imports_run_one_way() -> None:
    linted = subprocess.run(
        [Path(sys.executable).parent / "lint-imports"], cwd=ROOT, capture_output=True, text=True
    )
    assert linted.returncode == 0, linted.stdout
    assert "0 broken" in linted.stdout


def test_the_contract_bites() -> None:
    """Every module that imports mlflow, ray or optuna is in a room that may."""
    rooms = {"mlflow": ("tracking",), "ray": ("search",), "optuna": ("search", "ensemble")}
    for path in PACKAGE.rglob("*.py"):
        for module in _imported(path):
            may = rooms.get(module.split(".")[0])
            assert may is None or path.relative_to(PACKAGE).parts[0] in may, f"{path} imports {module}"


def test_no_module_is_a_hall() -> None:
    for path in [
        *PACKAGE.rglob("*.py"),
        *(ROOT / "tests").rglob("*.py"),
        *(ROOT / "benchmarks").glob("*.py"),
    ]:
        assert len(path.read_text().splitlines()) <= 350, path


def test_no_folder_is_named_for_nothing() -> None:
    names = {path.stem for path in PACKAGE.rglob("*.py")} | {path.name for path in PACKAGE.rglob("*/")}
    assert not names & {"utils", "helpers", "common", "misc"}


def _imported(path: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.append(node.module)
    return names
