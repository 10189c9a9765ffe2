"""A seal over a folder: what isn't what it says is refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from oddsound.errors import ModelError
from oddsound.training.facts import SectionFacts
from oddsound.training.sealed import MANIFEST, MAX_DOCUMENT, seal, unseal


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "members" / "fan").mkdir(parents=True)
    (folder / "a.json").write_text(
        '{"threshold": 1, "n_train": 2, "mean": 0, "std": 1, "minimum": 0, "maximum": 2}'
    )
    (folder / "members" / "fan" / "b").write_text("b")
    return folder


def test_what_was_sealed_is_what_is_read(folder: Path) -> None:
    sha256 = seal(folder, "detector")
    assert seal(folder, "detector") == sha256  # the manifest isn't of itself
    sealed = unseal(folder, "it", sha256)
    sealed.check()
    assert (sealed.manifest.kind, set(sealed.manifest.files)) == ("detector", {"a.json", "members/fan/b"})
    assert sealed.path("members/fan/b").read_text() == "b"
    assert sealed.document("a.json", SectionFacts).n_train == 2


def test_an_edited_file_is_named(folder: Path) -> None:
    sealed = unseal(folder, "the model", seal(folder, "detector"))
    (folder / "members" / "fan" / "b").write_text("c")
    with pytest.raises(ModelError, match=r"the model: members/fan/b has the SHA-256 2e7d2c03a950…"):
        sealed.check()
    (folder / "members" / "fan" / "b").unlink()
    with pytest.raises(ModelError, match="b is missing"):
        sealed.path("members/fan/b")


def test_a_link_is_no_file_of_a_model(folder: Path, tmp_path: Path) -> None:
    sealed = unseal(folder, "the model", seal(folder, "detector"))
    (tmp_path / "same").write_text("b")
    (folder / "members" / "fan" / "b").unlink()
    (folder / "members" / "fan" / "b").symlink_to(tmp_path / "same")
    with pytest.raises(ModelError, match="no plain file"):
        sealed.check()


def test_a_manifest_that_was_edited_along_is_refused(folder: Path) -> None:
    registered = seal(folder, "detector")
    (folder / "a.json").write_text("{}")
    seal(folder, "detector")
    with pytest.raises(
        ModelError, match=rf"manifest\.json has the SHA-256 .* registered was {registered[:12]}"
    ):
        unseal(folder, "the model", registered)


def test_a_file_that_the_manifest_lacks_is_never_read(folder: Path) -> None:
    sealed = unseal(folder, "the model", seal(folder, "detector"))
    (folder / "late.json").write_text("{}")
    with pytest.raises(ModelError, match=r"has no late\.json"):
        sealed.document("late.json", SectionFacts)


@pytest.mark.parametrize(
    "name", ["../a.json", "/etc/passwd", "a/../../b", ".hidden", "a//b", "a\nb", "members/../a.json", ""]
)
def test_a_manifest_names_no_file_elsewhere(folder: Path, name: str) -> None:
    content = {"format": 1, "kind": "detector", "files": {name: "0" * 64}}
    (folder / MANIFEST).write_text(json.dumps(content))
    asked: list[str] = []
    with pytest.raises(ModelError, match=r"manifest\.json is not what oddsound wrote"):
        unseal(folder, "the model", None, asked.append)
    assert asked == [MANIFEST]


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '{"format": 2, "kind": "detector", "files": {}}', "[" * 10**5]
)
def test_what_is_no_manifest_is_refused(folder: Path, content: str) -> None:
    (folder / MANIFEST).write_text(content)
    with pytest.raises(ModelError, match="not what oddsound wrote"):
        unseal(folder, "the model")


def test_a_huge_document_is_not_read(folder: Path) -> None:
    (folder / MANIFEST).write_bytes(b" " * (MAX_DOCUMENT + 1))
    with pytest.raises(ModelError, match=r"67,108,865 bytes"):
        unseal(folder, "the model")


def test_another_document_is_refused(folder: Path) -> None:
    (folder / "a.json").write_text('{"threshold": NaN, "n_train": 2}')
    sealed = unseal(folder, "the model", seal(folder, "detector"))
    with pytest.raises(ModelError, match=r"the model: a\.json is not what oddsound wrote"):
        sealed.document("a.json", SectionFacts)
