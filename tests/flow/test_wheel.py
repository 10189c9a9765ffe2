"""The wheel has the package and the search spaces, and nothing named `platform`."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_search_spaces_are_shipped(tmp_path: Path) -> None:
    build = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    built = subprocess.run(
        [sys.executable, "-c", build, tmp_path], cwd=ROOT, capture_output=True, text=True, check=True
    )
    names = zipfile.ZipFile(tmp_path / built.stdout.strip().splitlines()[-1]).namelist()
    shipped = {path.name for path in (ROOT / "search_spaces").glob("*.yaml")}
    assert {Path(name).name for name in names if name.startswith("oddsound/search_spaces/")} == shipped
    assert "oddsound/cli/main.py" in names
    assert not [name for name in names if name.startswith("platform")]
