"""What loudness alone separates: the AUC of each labelled clip's level, by machine type, section, domain.

    python benchmarks/loudness.py data/real

A detector that isn't better than this has learnt nothing that a level meter doesn't know.
"""

import sys
from pathlib import Path

import numpy as np

from oddsound.recordings.index import index_folder
from oddsound.recordings.reader import read_clip
from oddsound.scoring.metrics import auc


def main(root: Path) -> None:
    levels: dict[tuple[str, str, str], list[tuple[bool, float]]] = {}
    for clip in index_folder(root).clips:
        if clip.label is not None and clip.split == "test":
            rms = float(np.sqrt(np.mean(read_clip(clip.path).astype(np.float64) ** 2)))
            levels.setdefault((clip.machine, clip.section, clip.domain), []).append(
                (clip.label == "anomaly", rms)
            )
    for (machine, section, domain), clips in sorted(levels.items()):
        label, rms = zip(*clips, strict=True)
        louder = auc(label, rms)
        print(f"{machine} {section} {domain}: louder is anomalous {louder:.4f}, quieter {1 - louder:.4f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
