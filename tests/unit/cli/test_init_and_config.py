"""`oddsound init` and `oddsound config`."""

import json
from pathlib import Path

import pytest

from oddsound.cli.main import main
from oddsound.cli.run_file import read_run_file
from oddsound.search.space import load_space
from oddsound.yaml_files import parse_yaml


def oddsound(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


def test_init_writes_what_run_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = oddsound(capsys, "init")
    assert (code, out) == (0, "run.yaml\n")
    assert "oddsound run --file run.yaml" in err
    assert read_run_file(tmp_path / "run.yaml").settings == ()
    assert not (tmp_path / "run.yaml").read_text().startswith("# yaml-language-server")


def test_init_with_a_schema_names_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert oddsound(capsys, "init", tmp_path / "fan.yaml", "--schema")[0] == 0
    first = (tmp_path / "fan.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=fan.schema.json"
    assert json.loads((tmp_path / "fan.schema.json").read_text())["properties"]["trials"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fan.schema.json", "fan.yaml"]


@pytest.mark.parametrize("there", ["fan.yaml", "fan.schema.json"])
def test_init_overwrites_nothing(there: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / there).write_text("mine")
    code, _, err = oddsound(capsys, "init", tmp_path / "fan.yaml", "--schema")
    assert code == 2
    assert f"{there}: is there already" in err
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_init_into_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = oddsound(capsys, "init", tmp_path / "no" / "run.yaml")
    assert code == 2
    assert "make it first" in err


def shown(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, dict[str, object]]:
    code, out, err = oddsound(capsys, "config", "show", "--json", *arguments)
    assert code == 0, err
    return {each["path"]: each for each in json.loads(out)["settings"]}


def test_each_value_says_where_it_is_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run.yaml").write_text("machines: [pump]\nsettings:\n  model:\n    dropout: 0.1\n")
    (tmp_path / "mine.yaml").write_text("training: {batch_size: 8, halve_every: 5}\n")
    given = ("--file", tmp_path / "run.yaml", "--config", tmp_path / "mine.yaml")
    told = shown(capsys, *given, "--set", "training.batch_size=4", "--epochs", 3, "--resolved")
    whence = {path: each["whence"] for path, each in told.items()}
    assert whence["model.dropout"] == f"{tmp_path}/run.yaml:4:5"
    assert whence["training.halve_every"] == f"{tmp_path}/mine.yaml:1:27"
    assert (whence["training.batch_size"], whence["training.epochs"]) == (
        "--set training.batch_size",
        "--epochs",
    )
    assert whence["model.ae_hidden"] == "default"
    assert "pump.yaml:" in str(whence["loss.rho"])
    assert str(whence["loss.rho"]).endswith("searched: 0.02 to 0.25, log")
    assert told["training.batch_size"]["value"] == 4


def test_a_recipe_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    told = shown(capsys, "--set", "recipe=mobilenet_baseline", "--set", "training.epochs=2")
    assert told["model.backbone"]["whence"] == "recipe mobilenet_baseline"
    assert told["training.epochs"]["whence"] == "--set training.epochs"
    assert told["recipe"]["whence"] == "--set recipe"


def test_without_resolved_only_what_is_no_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert "model.ae_hidden" not in shown(capsys)
    assert "augment.time_shift" in shown(capsys), "searched, though the first value is the default"


@pytest.mark.parametrize("machine", ["fan", "valve"])
def test_what_is_printed_is_the_first_trial_as_a_config(
    machine: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = oddsound(capsys, "config", "show", "--machine", machine, "--resolved")
    assert code == 0
    frozen = load_space(machine, [parse_yaml(out, "x")])
    plain = load_space(machine)
    assert not frozen.dimensions
    assert frozen.trial({}, 0) == plain.trial(plain.paper, 0)


def test_a_mistake_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = oddsound(capsys, "config", "show", "--set", "loss.roh=1")
    assert (code, out) == (2, "")
    assert err == "oddsound: --set loss.roh: loss.roh: unknown key; did you mean rho?\n"


@pytest.mark.parametrize("of", ["run", "space", "settings"])
def test_schemas_are_json(of: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = oddsound(capsys, "config", "schema", "--of", of)
    assert code == 0
    assert json.loads(out)["$schema"].startswith("https://json-schema.org/")
