"""A labelled sound corpus to pretrain on, of one of two styles, told apart by what its tables hold.

ESC       a CSV with the columns filename, fold, target, category, in the folder or its meta/; one
          label a clip; each file lies in audio/ or beside the table.
AudioSet  segments CSVs of `YTID, start_seconds, end_seconds, "label,label"` lines, several labels a
          clip; the audio is <YTID> or <YTID>_<start> with .wav, .flac or .ogg, in audio/ or beside.
          Clips whose audio isn't there are left out and counted. An optional class_labels_indices.csv
          (index, mid, display_name) names the labels. Clips of a table whose name begins with "eval"
          are fold 1 and all others fold 2; without such a table five folds are drawn by YTID.
"""

from __future__ import annotations

from pathlib import Path

from oddsound.recordings.audioset import read_audioset
from oddsound.recordings.esc import read_esc
from oddsound.recordings.labelled import Corpus, LabelledClip
from oddsound.recordings.tables import find_tables

__all__ = ["Corpus", "LabelledClip", "read_corpus"]


def read_corpus(path: Path) -> Corpus:
    """The corpus in the folder `path`, or of the table `path`; opens each sound for its length.

    Raises DataError, in one line, for a folder without a table of a known style or with several ESC
    ones, a missing column, a line that isn't what it should be, a clip that is there twice, audio that
    is missing (ESC: any; AudioSet: all) or that can't be read.
    """
    root, style, tables = find_tables(path)
    return read_esc(root, tables[0]) if style == "esc" else read_audioset(root, tables)
