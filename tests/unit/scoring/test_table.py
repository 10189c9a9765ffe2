from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from tests.unit.scoring.tables import score_table

from oddsound.errors import ScoreError
from oddsound.scoring.table import ScoreTable, Shared


def test_round_trip(tmp_path: Path) -> None:
    table = score_table(evaluation=("03",), segments=3)
    table.save(tmp_path / "scores.npz")
    read = ScoreTable.load(tmp_path / "scores.npz")
    for field in fields(ScoreTable):
        np.testing.assert_array_equal(getattr(read, field.name), getattr(table, field.name))
    assert [path.name for path in tmp_path.iterdir()] == ["scores.npz"]


def test_parts() -> None:
    table = score_table(n=3, evaluation=("03",))
    assert (len(table.test()), len(table.train()), len(table.labelled())) == (30, 9, 24)
    assert len(table.where(np.zeros(len(table), dtype=bool))) == 0


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "scores.npz"
    score_table(n=3).save(path)
    whole = path.read_bytes()
    np.save(tmp_path / "array.npy", np.zeros(3))
    npy = (tmp_path / "array.npy").read_bytes()
    damaged = whole[:200] + bytes(100) + whole[300:]
    for content in (b"", b"PK\x03\x04", b"\x80\x04.", npy, whole[: len(whole) // 2], damaged):
        path.write_bytes(content)
        with pytest.raises(ScoreError, match=r"scores.npz: not a score table"):
            ScoreTable.load(path)
    with pytest.raises(ScoreError, match="not a score table"):
        ScoreTable.load(tmp_path / "none.npz")


def test_a_table_that_is_damaged_is_refused() -> None:
    table = score_table(n=3)
    unlike = table.score.copy()
    unlike[4] = np.nan
    with pytest.raises(ScoreError, match=f"score of {table.file[4]} is not finite"):
        replace(table, score=unlike)
    with pytest.raises(ScoreError, match="unequal length"):
        replace(table, score=table.score[1:])
    with pytest.raises(ScoreError, match="stands twice"):
        replace(table, file=np.full(len(table), "a.wav"))
    with pytest.raises(ScoreError, match="for 3 classes"):
        replace(table, classes=("00", "01", "02"))


def test_tables_of_the_same_clips_share_their_columns(tmp_path: Path) -> None:
    first, other, unlike = score_table(seed=0), score_table(seed=1), score_table(seed=2, n=5)
    shared: Shared = {}
    read = []
    for place, table in enumerate((first, other, unlike)):
        table.save(tmp_path / f"{place}.npz")
        read.append(ScoreTable.load(tmp_path / f"{place}.npz", shared))
    for name in ("file", "section", "domain", "split", "label"):
        assert getattr(read[0], name) is getattr(read[1], name)
        assert getattr(read[0], name) is not getattr(read[2], name)
    for table, again in zip((first, other, unlike), read, strict=True):
        for name in ("file", "section", "domain", "split", "label", "score", "probabilities"):
            assert np.array_equal(getattr(again, name), getattr(table, name))
