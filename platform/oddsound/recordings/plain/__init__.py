"""Recordings of one's own machines, in plain folders: found, cut into clips, and laid out as all else reads.

    ROOT/<machine>/*.wav                             normal recordings, or
    ROOT/<machine>/normal/, ROOT/<machine>/anomaly/  each with .wav at any depth

anomalous/, anomalies/ and abnormal/ are other words for anomaly/, upper case is as lower case.

ROOT may be the one machine's folder itself. The recordings stay as they are; what is made of them is a data
folder of 2021's layout, with one section and one domain.
"""

from oddsound.recordings.plain.folders import PlainMachine, find_plain, is_plain, notes
from oddsound.recordings.plain.layout import PREPARED, Prepared, Preparing, has_made_up, prepare

__all__ = [
    "PREPARED",
    "PlainMachine",
    "Prepared",
    "Preparing",
    "find_plain",
    "has_made_up",
    "is_plain",
    "notes",
    "prepare",
]
