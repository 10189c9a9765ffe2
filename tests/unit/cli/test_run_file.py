"""The YAML of one run: what it may say, what comes before it, and where it is wrong."""

import json
import re
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest

from oddsound.cli import run as run_module
from oddsound.cli.main import main
from oddsound.cli.resume import as_asked
from oddsound.cli.run import run
from oddsound.cli.run_file import keys, read_run_file
from oddsound.cli.run_template import template
from oddsound.cli.schemas import schema
from oddsound.cli.settings import overrides
from oddsound.config import TrialConfig, overlay
from oddsound.errors import ConfigError
from oddsound.search.space import spaces_folder
from oddsound.yaml_files import parse_yaml, read_mapping

pytestmark = pytest.mark.long


def written(folder: Path, text: str) -> Path:
    path = folder / "run.yaml"
    path.write_text(text)
    return path


def uncommented(text: str) -> str:
    """Every key of the template set; `# words` stay."""
    return re.sub(r"^( *)#(?=\w)", r"\1", text, flags=re.MULTILINE)


def asked(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> dict[str, Any]:
    """The options that `oddsound run` would go on with."""
    seen: dict[str, Any] = {}

    def instead(data: Path, out: Path, machines: list[str] | None, finish: object, **options: Any) -> None:
        seen.update(options, data=data, out=out, machines=machines)

    monkeypatch.setattr(run_module, "run_all", instead)
    run.main([str(a) for a in arguments], standalone_mode=False)
    return seen


def test_the_template_says_nothing_but_data_and_out(tmp_path: Path) -> None:
    file = read_run_file(written(tmp_path, template()))
    assert file.options == {"data": "data/dcase2021", "out": "runs/first"}
    assert file.settings == ()


def test_the_template_has_every_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, uncommented(template()))
    plain = asked(monkeypatch, "data/dcase2021", "--out", "runs/first")
    everything = asked(monkeypatch, "--file", path)
    settings = everything.pop("settings")
    assert plain.pop("settings") == ()
    assert everything == plain
    laid = overlay({}, *overrides({"settings": settings}))
    laid.pop("recipes")
    assert TrialConfig.model_validate({"machine": "fan", **laid}) == TrialConfig(machine="fan")
    leaves = {path for path, _ in _leaves(TrialConfig(machine="fan").model_dump())}
    named = {
        setting.path for setting in read_run_file(path).settings if not setting.path.startswith("recipes")
    }
    assert leaves - named == {"machine", "training.seed", "model.pretrained_sha256"}


def _leaves(tree: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    return [
        leaf
        for key, value in tree.items()
        for leaf in (
            _leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else [(prefix + key, value)]
        )
    ]


def test_every_option_of_run_and_search_is_a_key() -> None:
    from oddsound.cli.search import search

    once = {"accept_change", "resumed", "settings", "file"}
    known = {param.name for param in keys().values()}
    for command in (run, search):
        assert {p.name for p in command.params if isinstance(p, click.Option)} - once <= known


FILE = """\
data: data/x
out: runs/x
trials: 7
machines: [fan, pump]
memory_per_trial: 1.5
weights: {audioset: a.pth}
config: [smoke]
epochs: 5
asha: true
settings:
  model: {width: 0.5}
  features:
  loss:
    rho: 0.1
"""


def test_a_file_gives_options_in_their_own_types(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    got = asked(monkeypatch, "-f", written(tmp_path, FILE))
    assert (got["data"], got["out"], got["trials"]) == (Path("data/x"), Path("runs/x"), 7)
    assert (got["machines"], got["memory_per_trial"], got["asha"]) == (
        ["fan", "pump"],
        round(1.5 * 2**30),
        True,
    )
    assert (got["weights"], got["configs"], got["epochs"]) == (("audioset=a.pth",), ("smoke",), None)
    assert got["settings"] == ("model.width=0.5", "loss.rho=0.1", "training.epochs=5")


@pytest.mark.parametrize(
    ("arguments", "setting", "value"),
    [
        ([], "training.epochs", 5),
        ([], "model.width", 0.5),
        (["--epochs", "9"], "training.epochs", 9),
        (["--config", "smoke"], "training.epochs", 14),
        (["--config", "smoke"], "model.width", 0.15),
        (["--config", "smoke"], "loss.rho", 0.1),
        (["--config", "smoke", "--epochs", "9"], "training.epochs", 9),
        (["--set", "training.epochs=2"], "training.epochs", 2),
        (["--set", "training.epochs=2", "--epochs", "9"], "training.epochs", 2),
        (["--set", "loss={rho: 0.3}", "--config", "smoke"], "loss.rho", 0.3),
    ],
)
def test_the_command_line_comes_before_the_file_and_set_before_all(
    arguments: list[str], setting: str, value: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    got = asked(monkeypatch, "-f", written(tmp_path, FILE), *arguments)
    section, _, name = setting.partition(".")
    assert overlay({}, *overrides(got))[section][name] == value


def test_options_of_the_command_line_come_before_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    got = asked(monkeypatch, "other", "--trials", 3, "-f", written(tmp_path, FILE), "--machines", "valve")
    assert (got["data"], got["trials"], got["machines"]) == (Path("other"), 3, ["valve"])


def test_what_a_run_was_asked_for_is_kept_whole_without_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    got = asked(monkeypatch, "-f", written(tmp_path, FILE), "--config", "smoke")
    kept = json.loads(
        json.dumps(as_asked({k: v for k, v in got.items() if k not in ("data", "out", "machines")}))
    )
    assert overrides(kept["options"]) == overrides(got)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data: x\ntrails: 3\n", "run.yaml:2:1: trails: unknown key; did you mean trials or retries?"),
        ("trials: 0\n", "run.yaml:1:1: trials: input should be greater than or equal to 1, got 0"),
        ("trials: 2.5\n", "run.yaml:1:1: trials: input should be a valid integer"),
        ("trials: true\n", "run.yaml:1:1: trials: input should be a valid integer"),
        ("asha: 1\n", "run.yaml:1:1: asha: input should be a valid boolean"),
        ("out: 3\n", "run.yaml:1:1: out: input should be a valid string"),
        (
            "\nsettings:\n  loss: {roh: 1}\n",
            "run.yaml:3:10: settings.loss.roh: unknown key; did you mean rho?",
        ),
        ("settings:\n  machine: fan\n", "run.yaml:2:3: settings.machine: unknown key"),
        ("settings: 3\n", "run.yaml:1:1: settings: input should be"),
        ("epochs: 3\nsettings: {training: {epochs: 3}}\n", "run.yaml:1:1: epochs: is short for"),
        ("accept_change: true\n", "run.yaml:1:1: accept_change: unknown key"),
        ("trials: 3\ntrials: 4\n", "run.yaml:2:1: key 'trials' twice"),
    ],
)
def test_what_is_wrong_is_said_by_line_and_column(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        read_run_file(written(tmp_path, text))
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_setting_of_the_file_that_fits_no_space_is_shown_where_it_stands(
    tmp_path: Path, small_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = f"data: {small_data}\nout: {tmp_path / 'out'}\nsettings:\n  training:\n    seed: 3\n"
    with pytest.raises(SystemExit) as ended:
        main(["run", "--file", str(written(tmp_path, text))])
    assert ended.value.code == 2
    assert "run.yaml:5:5: training.seed: is given by --seed" in capsys.readouterr().err


def test_resume_takes_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["search", "--resume", str(tmp_path), "--file", str(written(tmp_path, FILE))])
    assert ended.value.code == 2
    assert "leave --file out" in capsys.readouterr().err


def test_editors_are_told_the_same() -> None:
    validator = jsonschema.Draft202012Validator(schema("run"))
    for text in (template(), uncommented(template()), FILE):
        assert [error.message for error in validator.iter_errors(dict(parse_yaml(text, "x")))] == []
    for wrong in (
        "trails: 3",
        "trials: 0",
        "settings: {loss: {roh: 1}}",
        "settings: {training: {epochs: 0}}",
    ):
        assert not validator.is_valid({"data": "x", "out": "y", **parse_yaml(wrong, "x")})


@pytest.mark.parametrize("name", sorted(path.name for path in spaces_folder().glob("*.yaml")))
def test_every_shipped_file_is_of_its_schema(name: str) -> None:
    of = "settings" if name == "smoke.yaml" else "space"
    jsonschema.Draft202012Validator.check_schema(schema(of))
    jsonschema.validate(dict(read_mapping(spaces_folder() / name)), schema(of))


def test_a_space_of_unknown_settings_is_not_of_its_schema() -> None:
    validator = jsonschema.Draft202012Validator(schema("space"))
    for wrong in ("space: {loss.roh: {low: 1, high: 2}}", "base: {los: {}}", "paper: {machine: fan}"):
        assert not validator.is_valid(dict(parse_yaml(wrong, "x")))
