from pathlib import Path

import pytest
from tests.unit.submission.systems import authors

from oddsound.errors import ConfigError
from oddsound.submission.authors import PLACEHOLDER, read_authors

YAML = """
authors:
  - lastname: van der Müller
    firstname: Åsa
    email: asa@example.org
    corresponding: true
    affiliation: {abbreviation: E-XU, institute: Example University, location: "Seoul, Korea"}
  - {lastname: Li, firstname: Bo, email: bo@example.org, affiliation: {abbreviation: O, institute: Other}}
"""


def test_a_file_of_authors(tmp_path: Path) -> None:
    path = tmp_path / "authors.yaml"
    path.write_text(YAML)
    read = read_authors(path)
    assert len(read.authors) == 2
    assert read.label(3) == "vanderMuller_E-XU_task2_3"
    assert not read.is_placeholder


def test_none_named_is_the_placeholder() -> None:
    assert read_authors(None) is PLACEHOLDER
    assert PLACEHOLDER.is_placeholder
    assert PLACEHOLDER.label(1) == "Lastname_INST_task2_1"


@pytest.mark.parametrize("hostile", ["../../etc", "/abs", "a/b", "a\\b", "a\nb", "C:x", "..x", "a_b"])
def test_label_is_safe_in_a_path(hostile: str) -> None:
    label = authors(lastname=hostile, inst=hostile).label(1)
    assert label.count("_") == 3
    assert not set(label) & set("./\\:\n\0")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (YAML.replace("firstname: Åsa", "firstname: Åsa\n    fistname: x"), "fistname: unknown key"),
        (YAML.replace("asa@example.org", "asa"), "email"),
        (YAML.replace("corresponding: true", "corresponding: false"), "0 are corresponding"),
        (YAML.replace("van der Müller", "김"), "spell it in Latin letters"),
        ("authors: []", "authors"),
        ("- x", "expected a mapping"),
        ("authors: [", "authors.yaml:"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "authors.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        read_authors(path)
    assert "authors.yaml" in str(caught.value)


def test_systems_are_numbered_1_to_4() -> None:
    with pytest.raises(ConfigError, match="numbered 1 to 4"):
        authors().label(5)
