"""What the README tells a user to type exists."""

import re
import shlex
from pathlib import Path

import click
import pytest

from oddsound.cli.main import oddsound

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "mlflow_server" / "README.md", *(ROOT / "docs").rglob("*.md")]


def commands() -> list[str]:
    """Every line of the pages' code blocks, and every inline code, that starts an oddsound command."""
    found = []
    for page in PAGES:
        text = page.read_text().replace("\\\n", " ")
        blocks = re.findall(r"```(?:sh|console)?\n(.*?)```", text, re.DOTALL)
        lines = [line for block in blocks for line in block.splitlines()]
        lines += re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
        for line in lines:
            match = re.match(r"\s*(?:\$ )?(?:\.venv/bin/)?(oddsound .*)", line)
            if match:
                found.append(match[1].split("#")[0].strip())
    return sorted(set(found))


@pytest.mark.parametrize("command", commands())
def test_a_command_of_the_pages_exists_with_its_options(command: str) -> None:
    words = shlex.split(re.sub(r"\[|\]|…", " ", command))[1:]
    here: click.Command = oddsound
    while isinstance(here, click.Group) and words and not words[0].startswith("-"):
        assert words[0] in here.commands, command
        here = here.commands[words.pop(0)]
    known = {name for option in here.params for name in option.opts} | {"--help"}
    assert {word for word in words if word.startswith("--")} <= known, command


def test_there_are_such_commands() -> None:
    assert len(commands()) >= 10


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?://)([^)#]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target
