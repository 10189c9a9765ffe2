"""Synthetic machines in the layout of DCASE 2021 Task 2, to try everything without a download.

Seven machine types with a character each, sections that differ in build, a target domain that
differs in speed, load, room and microphone, and faults from subtle to clear. What a detector
reaches on them says nothing about real machines; that it beats chance here says that it learns.
"""

from __future__ import annotations

from oddsound.recordings.synth.folder import ALL_SEVEN, Plan, synthesise

__all__ = ["ALL_SEVEN", "Plan", "synthesise"]
