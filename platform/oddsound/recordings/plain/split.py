"""Which of a machine's normal clips are trained on, and which are kept for the test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from oddsound.errors import DataError
from oddsound.recordings.names import counted, shown
from oddsound.recordings.plain.cuts import Cuts
from oddsound.recordings.plain.folders import PlainMachine

EVERY = 5
"""One normal recording in so many is kept for the test; where there are fewer, the last part of each."""

Start = tuple[Cuts, int]
"""A clip: of which recording, from which of its samples on."""


def starts_of(cuts: Sequence[Cuts]) -> list[Start]:
    return [(each, start) for each in cuts for start in each.starts]


def split(machine: PlainMachine, normal: Sequence[Cuts]) -> tuple[list[Start], list[Start]]:
    """To train on and to test with. No recording is in both where there are `EVERY` or more.

    Raises DataError where there is too little for both.
    """
    clips = starts_of(normal)
    kept = _kept(normal) or {(cuts.path, start) for cuts, start in clips[1:][-1:]}
    train = [(cuts, start) for cuts, start in clips if (cuts.path, start) not in kept]
    test = [(cuts, start) for cuts, start in clips if (cuts.path, start) in kept]
    if not train or not test:
        raise DataError(
            f"{shown(machine.folder)}: {counted(len(clips), 'normal clip')}; two at least are needed, one to "
            "train on and one to test with: record more, or cut shorter clips"
        )
    return train, test


def _kept(recordings: Sequence[Cuts]) -> set[tuple[Path, int]]:
    """Recording and start of the clips for the test; none where that would be a part of a clip."""
    if len(recordings) >= EVERY:
        return {(each.path, start) for each in recordings[EVERY - 1 :: EVERY] for start in each.starts}
    return {
        (each.path, start)
        for each in recordings
        for start in each.starts[len(each.starts) - len(each.starts) // EVERY :]
    }
