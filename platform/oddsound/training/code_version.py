"""What code made a trial, as far as it decides what comes out."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

import oddsound

_DECIDE = (
    "config.py",
    "recipes.py",
    "recordings/*.py",
    "features/*.py",
    "models/*.py",
    "scoring/*.py",
    "training/*.py",
    "search/space.py",
    "search/space_yaml.py",
    "search/sampler.py",
    "search/studies.py",
)
"""The files from recording to score, and those that choose the next trial."""
_LIBRARIES = ("numpy", "optuna", "scipy", "timm", "torch", "torchaudio")


@cache
def code_version() -> dict[str, str]:
    """oddsound's version, a digest of its sources that decide a search's outcome, and the libraries'."""
    package = Path(oddsound.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(path for pattern in _DECIDE for path in package.glob(pattern)):
        digest.update(f"{path.relative_to(package).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return {"oddsound": oddsound.__version__, "sources": digest.hexdigest()[:12]} | {
        name: version(name) for name in _LIBRARIES
    }
