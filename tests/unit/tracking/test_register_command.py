"""`oddsound register`: the best of what MLflow has, again and again the same."""

import json
from pathlib import Path

import pytest
from tests.unit.tracking.small_bundles import DIGEST, small_bundle

from oddsound.cli.main import main
from oddsound.search.record import RunRecord, write_record
from oddsound.tracking.layout import Search
from oddsound.tracking.store import Store, open_store
from oddsound.tracking.sync import sync

SEARCH = Search("search", "data")


@pytest.fixture
def run(tmp_path: Path, store: Store) -> Path:
    """Three finished trials of fan in MLflow, and one that isn't; none of valve."""
    run = tmp_path / "run"
    sent = [small_bundle(run / "trials", number, 0.6 + number / 100) for number in range(3)]
    begun = {machine: {"data": DIGEST, "clips": {}} for machine in ("fan", "valve")}
    write_record(run, RunRecord(SEARCH.id, SEARCH.dataset, "/data", store.uri, begun))
    sync(store, SEARCH, {"fan": sent})
    small_bundle(run / "trials", 7, 0.9)
    return run


def register(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["register", *map(str, arguments)])
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


def test_the_best_are_versions_and_doing_it_again_changes_nothing(
    run: Path, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = register(capsys, run, "--top-k", 2, "--json")
    assert code == 0, err
    versions = json.loads(out)["versions"]
    assert [(v["machine"], v["rank"], round(v["omega"], 6)) for v in versions] == [
        ("fan", 1, 0.62),
        ("fan", 2, 0.61),
    ]
    assert "1 finished trials aren't in MLflow and can't be registered" in err
    assert "valve: no finished trial" in err
    assert register(capsys, run, "--top-k", 2, "--json")[1] == out
    model = open_store(store.uri, run).client.get_registered_model("data.fan")
    assert set(model.aliases) == {"champion", "challenger", "top-1", "top-2"}
    assert versions[0]["model"] == f"models:/data.fan/{model.aliases['champion']}"


def test_more_of_them(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    register(capsys, run, "--top-k", 1)
    out = register(capsys, run)[1]
    rows = [line.split() for line in out.splitlines()]
    assert rows[0] == ["machine", "model", "trial", "rank", "omega", "[%]"]
    assert [row[3:] for row in rows[1:]] == [["1", "62.00"], ["2", "61.00"], ["3", "60.00"]]


def test_a_run_with_nothing_finished(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_record(tmp_path, RunRecord("s", "d", "/data", None, {"fan": {"data": DIGEST}}))
    code, out, err = register(capsys, tmp_path)
    assert (code, out) == (3, "")
    assert "no finished trial; `oddsound search --resume" in err
    assert not (tmp_path / "mlflow").exists()
