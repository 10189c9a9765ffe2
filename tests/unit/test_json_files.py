"""Files of ours that a hand was in: of the right kind, or a line of what isn't."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from oddsound.errors import BundleError, ConfigError
from oddsound.json_files import NOTHING_ELSE, of_kind, read_json
from oddsound.search.record import RunRecord, read_record, write_record
from oddsound.training.bundle import Bundle


@dataclass(frozen=True)
class Machine:
    __pydantic_config__ = NOTHING_ELSE

    name: str
    n_clips: int
    omega: dict[str, float] = field(default_factory=dict)


def test_what_fits_is_taken() -> None:
    assert of_kind(Machine, {"name": "fan", "n_clips": 3}) == Machine("fan", 3)
    assert of_kind(Machine, {"name": "fan", "n_clips": 3, "omega": {"a": 1}}).omega == {"a": 1.0}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([], "expected a mapping, got list"),
        (None, "expected a mapping, got NoneType"),
        ({"n_clips": 3}, "^name: field required$"),
        ({"name": None, "n_clips": 3}, "^name: input should be a valid string$"),
        ({"name": "fan", "n_clips": "many"}, "^n_clips: input should be a valid integer"),
        ({"name": "fan", "n_clips": 3, "omega": {"a": []}}, r"^omega\.a: input should be a valid number$"),
        ({"name": "fan", "n_clips": 3, "colour": 1}, "^colour: unexpected"),
    ],
)
def test_what_does_not_is_named(document: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        of_kind(Machine, document)


@pytest.mark.parametrize("text", ["", "{", "\x00"])
def test_no_json(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ConfigError, match=r"a\.json: can't be read as JSON"):
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize(
    "change", ['"search": null', '"machines": 5', '"tracking_uri": 5', '"machines": {"fan": 1}']
)
def test_a_run_whose_record_is_of_other_kinds_is_none(change: str, tmp_path: Path) -> None:
    write_record(tmp_path, RunRecord("s", "d", "/data", None))
    path = tmp_path / "run.json"
    key = change.partition(":")[0]
    lines = [
        f" {change}" if line.startswith(f" {key}") else line.rstrip(",")
        for line in path.read_text().split("\n")
    ]
    path.write_text("{" + ",\n".join(line for line in lines if line not in "{}") + "}")
    with pytest.raises(ConfigError, match=rf"run\.json: not a run's record \({key[1:-1]}.*; move it away"):
        read_record(tmp_path)


@pytest.mark.parametrize("text", ["[]", '{"trial": 1}', "nothing"])
def test_a_result_of_another_kind_says_what_to_do(text: str, tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(
        BundleError, match=r"result\.json: .*; remove the folder, and the search makes it again"
    ):
        Bundle(tmp_path).result()
