"""What a shell completes; the functions that it calls, and the scripts that call them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from oddsound.cli.completion import machines
from oddsound.cli.main import main, oddsound

ODDSOUND = Path(sys.executable).parent / "oddsound"


def completed(words: str, cursor: int | None = None) -> list[str]:
    """As bash asks: the words so far, and which of them is completed."""
    given = {"_ODDSOUND_COMPLETE": "bash_complete", "COMP_WORDS": words}
    place = len(words.split()) - 1 if cursor is None else cursor
    environment = os.environ | given | {"COMP_CWORD": str(place)}
    said = subprocess.run([ODDSOUND], env=environment, capture_output=True, text=True, check=True)
    return [line.partition(",")[2] for line in said.stdout.splitlines()]


def test_commands_and_options() -> None:
    assert completed("oddsound tr") == ["trials"]
    assert "mlflow" in completed("oddsound serve ", 2)
    assert completed("oddsound run --max") == ["--max-concurrent"]


def test_machine_types_of_the_data(small_data: Path) -> None:
    assert completed(f"oddsound run {small_data} --machines f") == ["fan"]
    assert completed(f"oddsound run {small_data} --machines fan,") == ["fan,valve"]
    assert "gearbox" in completed("oddsound run nowhere --machines ", 4)


def test_trials_of_a_run(trained: Path) -> None:
    known = sorted(path.name for path in trained.glob("*/*"))
    assert len(known) == 3
    run = trained.parent
    assert sorted(completed(f"oddsound show {run} ", 3)) == known
    assert completed(f"oddsound show {run} {known[0][:9]}") == [known[0]]
    assert sorted(completed(f"oddsound trials {run} --machine ", 4)) == ["fan", "valve"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_has_its_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["completion", shell])
    assert not ended.value.code
    out = capsys.readouterr().out
    assert f"_ODDSOUND_COMPLETE={shell}_complete" in out
    assert "oddsound" in out


def test_bash_takes_it() -> None:
    script = subprocess.run(
        [ODDSOUND, "completion", "bash"], capture_output=True, text=True, check=True
    ).stdout
    asked = "\ncomplete -p oddsound"
    said = subprocess.run(["bash", "-c", script + asked], capture_output=True, text=True, check=True)
    assert said.stdout.strip().endswith("oddsound")


def test_a_folder_that_is_not_there_completes_to_the_challenges_machine_types(tmp_path: Path) -> None:
    context = oddsound.make_context("oddsound", ["run", str(tmp_path / "no")], resilient_parsing=True)
    assert {item.value for item in machines(context, oddsound.params[0], "Toy")} == {"ToyCar", "ToyTrain"}
