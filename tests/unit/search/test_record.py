"""run.json: the same command goes on, another one is refused by what differs."""

import json
from pathlib import Path

import pytest

from oddsound.errors import ConfigError
from oddsound.search.record import RunRecord, read_record, write_record
from oddsound.search.record import agree as agreed
from oddsound.training.code_version import code_version

FAN = {"fan": {"base": {"training": {"epochs": 3}}, "data": "abc"}}
CODE = {"oddsound": "0.1.0", "sources": "0123456789ab"}


def agree(
    run: Path,
    dataset: str,
    data: Path,
    uri: str | None,
    machines: dict[str, dict[str, object]],
    code: dict[str, str] = CODE,
    accept_change: bool = False,
) -> RunRecord:
    """Agree and keep it, as a run does."""
    record = agreed(run, dataset, data, uri, machines, code, accept_change=accept_change)
    write_record(run, record)
    return record


def test_what_is_not_kept_is_not_there(tmp_path: Path) -> None:
    agreed(tmp_path, "demo", tmp_path, None, FAN, CODE)
    assert list(tmp_path.iterdir()) == []


def test_the_tracking_address_can_change_and_is_remembered(tmp_path: Path) -> None:
    agree(tmp_path, "demo", tmp_path, None, FAN)
    assert agree(tmp_path, "demo", tmp_path, "http://127.0.0.1:5000", FAN).tracking_uri is not None
    assert agree(tmp_path, "demo", tmp_path, None, FAN).tracking_uri == "http://127.0.0.1:5000"


def test_the_same_again_is_the_same_search(tmp_path: Path) -> None:
    first = agree(tmp_path, "demo", tmp_path, None, FAN)
    assert agree(tmp_path, "demo", tmp_path, None, FAN) == first == read_record(tmp_path)


def test_machine_types_are_added(tmp_path: Path) -> None:
    agree(tmp_path, "demo", tmp_path, None, FAN)
    record = agree(tmp_path, "demo", tmp_path, None, {"pump": {"data": "xyz"}})
    assert record.machines == {**FAN, "pump": {"data": "xyz"}}


@pytest.mark.parametrize(
    ("dataset", "uri", "machines", "message"),
    [
        (
            "demo",
            None,
            {"fan": {**FAN["fan"], "data": "other"}},
            "begun with fan.data 'abc', now it is 'other'",
        ),
        (
            "demo",
            None,
            {"fan": {"base": {"training": {"epochs": 4}}, "data": "abc"}},
            "fan.base.training.epochs 3",
        ),
        ("other", None, FAN, "dataset 'demo', now it is 'other'"),
    ],
)
def test_a_change_is_refused_by_name_and_leaves_the_record(
    dataset: str, uri: str | None, machines: dict[str, dict[str, object]], message: str, tmp_path: Path
) -> None:
    agree(tmp_path, "demo", tmp_path, None, FAN)
    before = (tmp_path / "run.json").read_text()
    with pytest.raises(ConfigError, match=message):
        agree(tmp_path, dataset, tmp_path, uri, machines)
    assert (tmp_path / "run.json").read_text() == before


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no run\.json here"):
        read_record(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps({"something": "else"}))
    with pytest.raises(ConfigError, match="not a run's record"):
        read_record(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(ConfigError, match="can't be read as JSON"):
        read_record(tmp_path)


def test_other_code_is_refused_by_name(tmp_path: Path) -> None:
    agree(tmp_path, "demo", tmp_path, None, FAN)
    with pytest.raises(ConfigError, match=r"code\.sources '0123456789ab', now it is 'another'"):
        agree(tmp_path, "demo", tmp_path, None, FAN, CODE | {"sources": "another"})


def test_a_change_that_is_accepted_is_kept_and_said(tmp_path: Path) -> None:
    first = agree(tmp_path, "demo", tmp_path, None, FAN)
    newer = CODE | {"sources": "another"}
    record = agree(tmp_path, "demo", tmp_path, None, FAN, newer, accept_change=True)
    assert (record.code, record.search) == (newer, first.search)
    assert [change["what"] for change in record.changes] == [
        ["code.sources '0123456789ab', now it is 'another'"]
    ]
    assert agree(tmp_path, "demo", tmp_path, None, FAN, newer) == record, "from now on it is the run's"


def test_on_other_recordings_it_is_another_search(tmp_path: Path) -> None:
    first = agree(tmp_path, "demo", tmp_path, None, FAN)
    other = {"fan": {**FAN["fan"], "data": "other"}}
    record = agree(tmp_path, "demo", tmp_path / "more", None, other, accept_change=True)
    assert record.search != first.search
    assert record.data == str(tmp_path / "more")


def test_the_code_version_is_of_what_decides_an_outcome(tmp_path: Path) -> None:
    version = code_version()
    assert set(version) >= {"oddsound", "sources", "torch", "optuna"}
    assert len(version["sources"]) == 12
