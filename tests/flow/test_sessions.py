"""The terminal sessions of the README and the pages are what the program prints today."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "docs"))

from sessions import COMMANDS, Block, agrees, blocks, difference, played, rewritten, shortened

BLOCKS = list(blocks())
SHOWN = ["$ oddsound status", "fan   2/2  52.23*", "…", "report  0a1b2c3d4e5f"]


@pytest.fixture(scope="module")
def printed(ray_home: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    return played(tmp_path_factory.mktemp("sessions"))


@pytest.fixture(scope="module")
def ray_home() -> Iterator[Path]:
    """A short folder for Ray's sockets, as long as the sessions run."""
    with TemporaryDirectory(prefix="or", dir="/tmp") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", folder)
        yield Path(folder)


def test_every_session_is_on_a_page() -> None:
    assert {block.name for block in BLOCKS} == set(COMMANDS)


@pytest.mark.slow
@pytest.mark.trained
@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.page.stem}-{block.name}")
def test_a_page_shows_what_is_printed(block: Block, printed: dict[str, list[str]]) -> None:
    assert agrees(block.lines, printed[block.name]), difference(block, printed[block.name])


def test_figures_and_hashes_may_differ_and_lines_be_left_out() -> None:
    now = ["$ oddsound status", "fan  11/2   7.5", "one", "two", "report  99999999ffff"]
    assert agrees(SHOWN, now)


@pytest.mark.parametrize("line", ["fan  2/2  52.23 more", "valve  2/2  52.23", "fan  2/2  52.23 s"])
def test_other_words_are_a_difference(line: str) -> None:
    now = [SHOWN[0], line, SHOWN[3]]
    assert not agrees(SHOWN, now)
    block = Block(Path("page.md"), "status", SHOWN, 2, 1)
    assert "page.md, session status" in difference(block, now) and "make sessions" in difference(block, now)


def test_a_line_more_or_less_is_a_difference() -> None:
    assert not agrees(SHOWN[:2], SHOWN[:1])
    assert not agrees(SHOWN[:1], SHOWN[:2])


def test_trials_may_finish_in_another_order() -> None:
    lines = [f"{machine} trial 0 finished: omega 5%" for machine in ("fan", "valve")]
    assert agrees(lines, lines[::-1])
    assert agrees(lines, [lines[0], "fan trial 1 epoch 3 of 14: omega 5% (1/2)", lines[1]])
    assert agrees(lines, ["features of fan: 224 of 234 clips", *lines])


def test_a_machine_type_may_have_more_members_elsewhere_but_not_none() -> None:
    head, tail = "member  trial  in  omega [%]", "registering S1 to S4 as models"
    fan, valve = (
        f"{machine}  de35c8e8aca43d3f  db4be662  S1 S2 S3 S4  52.23" for machine in ("fan", "valve")
    )
    second = "fan  3e99c67684a0784e  2f9174f7  S3  50.01"
    shown = [head, fan, valve, tail]
    assert agrees(shown, [head, fan, second, valve, tail])
    assert agrees([head, fan, second, valve, tail], shown)
    assert not agrees(shown, [head, fan, second, tail])
    assert not agrees(shown, [head, fan, valve, valve.replace("de35c8e8aca43d3f", "none"), tail])
    assert not agrees(["fan  11.5"] * 2, ["fan  11.5"]), "rows of other tables count"


def test_a_machine_of_one_cpu_or_with_a_gpu_plans_the_same() -> None:
    shown = ["4 trials × 3 epochs = 0.003 hours on 2 workers", "memory"]
    assert agrees(shown, ["4 trials × 3 epochs = 0.003 hours on 1 worker", "GPU memory 1.2 GiB", "memory"])


def test_a_page_is_rewritten_between_its_marks() -> None:
    page = "a\n<!-- session: status 1 1 -->\nold\n<!-- /session -->\nb\n"
    text = rewritten(page, {"status": ["$ x", "1", "2", "3"]})
    assert text == "a\n<!-- session: status 1 1 -->\n```console\n$ x\n…\n3\n```\n<!-- /session -->\nb\n"
    assert rewritten(text, {"status": ["$ x", "1", "2", "3"]}) == text


def test_what_is_short_stays_whole() -> None:
    assert shortened(["1", "2"], 1, 1) == ["1", "2"]
