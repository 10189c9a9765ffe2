"""What holds for every command: help, examples first, a line in the overview, talk that is silenced."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import oddsound as package
from oddsound.cli.main import main, oddsound
from oddsound.config import TrialConfig
from oddsound.search.space_yaml import SpaceFile

CLI = Path(package.__file__).parent / "cli"


def walked(group: click.Group = oddsound, path: str = "oddsound") -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, by what is typed for it."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from walked(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


COMMANDS = dict(walked())


@pytest.mark.parametrize("path", COMMANDS)
def test_it_has_help_with_examples_first(path: str) -> None:
    summary, examples, *_ = (COMMANDS[path].help or "").split("\n\n")
    assert len(" ".join(summary.split())) > 20
    assert summary.rstrip().endswith((".", "?"))
    assert examples.strip(" ").startswith("\b\n"), "click would fill the lines up"
    lines = [line.strip() for line in examples.splitlines()]
    assert any(re.match(rf"(eval \"\$\()?{path}\b", line) for line in lines)


@pytest.mark.parametrize("path", COMMANDS)
def test_every_option_says_what_it_is_for(path: str) -> None:
    for param in COMMANDS[path].params:
        if isinstance(param, click.Option) and not param.hidden:
            assert param.help, f"{path} {param.opts[0]}"
            assert not param.help.startswith(" ")


@pytest.mark.parametrize("path", COMMANDS)
def test_the_overview_has_it(path: str) -> None:
    lines = [line.strip() for line in (oddsound.help or "").splitlines()]
    assert any(line == path or line.startswith(f"{path} ") for line in lines)


def test_the_overview_has_nothing_else_and_keeps_the_order_of_the_work() -> None:
    typed = re.findall(r"^ +(oddsound [a-z0-9 ]+?)(?= [A-Z]| --|  |$)", oddsound.help or "", re.MULTILINE)
    shown = [line.removesuffix(" bash") for line in typed]
    assert set(shown) == set(COMMANDS)
    known = list(oddsound.commands)
    assert known == list(dict.fromkeys(line.split()[1] for line in shown))


@pytest.mark.parametrize("path", COMMANDS)
def test_its_help_is_shown(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*path.split()[1:], "--help"])
    assert not ended.value.code
    out = capsys.readouterr().out
    assert out.startswith(f"Usage: {path} ")


def test_all_talk_goes_through_what_quiet_silences() -> None:
    """Beside `main`, which says how a command ended."""
    found = {path.name for path in CLI.rglob("*.py") if "err=True" in path.read_text()}
    assert found == {"main.py", "talking.py"}


@pytest.mark.parametrize("model", [TrialConfig, SpaceFile])
def test_every_setting_is_described(model: type[TrialConfig | SpaceFile]) -> None:
    schema = model.model_json_schema()
    for part in (schema, *schema["$defs"].values()):
        for name, told in part["properties"].items():
            of_section = schema["$defs"].get(told.get("$ref", "").rpartition("/")[2], {})
            assert told.get("description") or of_section.get("description"), f"{part['title']}.{name}"
