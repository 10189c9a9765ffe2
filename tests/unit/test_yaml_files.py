"""What a YAML file says, and where it says it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oddsound.errors import ConfigError
from oddsound.yaml_files import Placed, parse_yaml, read_mapping, scalar

TEXT = """\
# a comment
training:
  epochs: 3
space: {loss.rho: {low: 1, high: 2}}
configurations:
- {loss: {rho: 1}}
"""


@pytest.mark.parametrize(
    ("place", "at"),
    [
        (("training",), ":2:1"),
        (("training", "epochs"), ":3:3"),
        (("space", "loss.rho", "high"), ":4:28"),
        (("configurations", 0), ":6:3"),
        (("configurations", 0, "loss", "rho"), ":6:11"),
        (("training", "batch_size"), ":2:1"),
        (("nothing",), ""),
        ((), ""),
    ],
)
def test_a_mapping_knows_where_its_keys_are(place: tuple[str | int, ...], at: str) -> None:
    document = parse_yaml(TEXT, "here.yaml")
    assert isinstance(document, Placed)
    assert document.at(place) == f"here.yaml{at}"
    assert document["training"] == {"epochs": 3}


@given(st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), st.integers(), min_size=1))
def test_the_mark_of_a_key_is_where_it_stands(values: dict[str, int]) -> None:
    text = "".join(f"{key!r}: {value}\n" for key, value in values.items())
    document = parse_yaml(text, "x")
    assert document == values
    assert [document.at((key,)) for key in values] == [f"x:{n}:1" for n in range(1, len(values) + 1)]


def test_what_is_no_mapping_is_as_it_was() -> None:
    assert parse_yaml("[1, 2]", "x") == [1, 2]
    assert parse_yaml("", "x") is None
    assert parse_yaml("1e-3", "x") == 1e-3


def test_two_documents_are_one_too_many(tmp_path: Path) -> None:
    (tmp_path / "two.yaml").write_text("a: 1\n---\nb: 2\n")
    with pytest.raises(ConfigError, match=r"two\.yaml:2:1: "):
        read_mapping(tmp_path / "two.yaml")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12),
        ("-0", 0),
        ("1e-3", 1e-3),
        ("1E+3", 1e3),
        ("-.5e2", -50.0),
        ("1.", 1.0),
        ("-.inf", float("-inf")),
        ("010", "010"),
        ("1:30", "1:30"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("\u0663", "\u0663"),
        ("1e5x", "1e5x"),
    ],
)
def test_numbers_are_decimal(text: str, value: object) -> None:
    assert parse_yaml(text, "x") == value


@given(
    st.one_of(
        st.text(max_size=20).filter(str.isprintable),
        st.from_regex(r"[-+]?[0-9.eExob_:]{1,8}", fullmatch=True),
        st.integers(-(10**20), 10**20),
        st.floats(allow_nan=False),
        st.booleans(),
        st.none(),
    )
)
def test_what_is_written_is_read_again(value: object) -> None:
    again = parse_yaml(scalar(value), "x")
    assert again == value and type(again) is type(value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3", r"x:3:1: key 'a' twice, first in line 1; remove one"),
        ("1: 2", r"x:1:1: a key must be plain text"),
        ("a: {true: 2}", r"x:1:5: a key must be plain text"),
        ("a: " + "9" * 5000, r"x:1:4: a number of 5000 digits"),
    ],
)
def test_what_is_refused_says_where(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_yaml(text, "x")


def test_no_file_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"can't be read \(Is a directory\); give a YAML file"):
        read_mapping(tmp_path)
