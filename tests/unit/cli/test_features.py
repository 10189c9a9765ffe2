"""`oddsound features`: what a search would build, where it looks for it."""

import json
from pathlib import Path

import pytest

from oddsound.cli.main import main
from oddsound.config import TrialConfig
from oddsound.features.cache import cache_path
from oddsound.recordings.index import index_folder
from oddsound.search.space import load_space


def features(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["features", *map(str, arguments)])
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


SPACE = """\
space: {features.median_frames: {choices: [0, 3]}, loss.rho: {low: 0.05, high: 0.1}}
paper: {features.median_frames: 0, loss.rho: 0.07}
"""


@pytest.fixture
def spaces(tmp_path: Path) -> Path:
    folder = tmp_path / "spaces"
    folder.mkdir()
    (folder / "default.yaml").write_text(SPACE)
    return folder


def test_every_cache_that_a_search_asks_for_is_built_once(
    small_data: Path, tmp_path: Path, spaces: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = tmp_path / "cache"
    given = (small_data, "--cache", cache, "--spaces", spaces, "--json")
    code, out, err = features(capsys, *given)
    assert code == 0, err
    rows = json.loads(out)["caches"]
    index = index_folder(small_data)
    wanted = {
        str(cache_path(machine, index.digest(machine), config.features, cache))
        for machine in index.machines
        for config in load_space(machine, [], spaces).front_ends()
    }
    assert len(wanted) == 4
    assert {row["path"] for row in rows} == wanted
    assert {tuple(row["settings"].items()) for row in rows} == {(), (("median_frames", 3),)}
    assert all(row["clips"] == len(index.of(row["machine"])) for row in rows)
    assert "features of fan: " in err
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("features.npy")}
    assert features(capsys, *given)[1] == out
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("features.npy")} == before


def test_machines_and_settings_as_a_search_has_them(
    small_data: Path, tmp_path: Path, spaces: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("--machines", "fan", "--set", "features.median_frames=3", "--spaces", spaces)
    code, out, err = features(capsys, small_data, "--cache", tmp_path / "cache", *given)
    assert code == 0, err
    head, row = [line.split("  ") for line in out.splitlines()]
    assert (head[0], row[0]) == ("machine", "fan")
    config = TrialConfig.model_validate({"machine": "fan", "features": {"median_frames": 3}})
    digest = index_folder(small_data).digest("fan")
    assert str(cache_path("fan", digest, config.features, tmp_path / "cache")) in out
    assert err.splitlines()[-1].endswith(f"--out RUN --cache {tmp_path / 'cache'}")


def test_a_runs_file_says_all_of_it(
    small_data: Path, tmp_path: Path, spaces: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = f"data: {small_data}\nout: {tmp_path / 'out'}\nspaces: {spaces}\nmachines: [valve]\ntrials: 9\n"
    (tmp_path / "run.yaml").write_text(f"{text}settings: {{features: {{median_frames: 0}}}}\n")
    code, out, err = features(capsys, "-f", tmp_path / "run.yaml", "--json")
    assert code == 0, err
    (row,) = json.loads(out)["caches"]
    assert (row["machine"], Path(row["path"]).parent) == ("valve", tmp_path / "out" / "features")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["{data}"], 2, "give --cache DIR"),
        (["{data}", "--cache", "{tmp}/c", "--machines", "fam"], 3, "fam"),
        (["{data}", "--cache", "{tmp}/c", "--set", "features.n_mel=3"], 2, "did you mean n_mels"),
        (["{tmp}/none", "--cache", "{tmp}/c"], 3, "none"),
    ],
)
def test_a_mistake_builds_nothing(
    arguments: list[str],
    code: int,
    message: str,
    small_data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ended, out, err = features(capsys, *(a.format(data=small_data, tmp=tmp_path) for a in arguments))
    assert (ended, out) == (code, "")
    assert message in err
    assert not (tmp_path / "c").exists()
