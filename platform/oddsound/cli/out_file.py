"""Whether a file can lie where --out wants it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryFile

from oddsound.errors import ConfigError


def refuse_unwritable(out: Path | None) -> None:
    """Raises ConfigError where a file can't lie at `out`: said before anything is done. What is put in place
    by renaming would take the place of a device, too."""
    if out is None:
        return
    if out.is_dir():
        raise ConfigError(f"--out {out}: a folder; give a file's name in it")
    if out.exists() and not out.is_file():
        raise ConfigError(f"--out {out}: no plain file; give another name")
    if not out.parent.is_dir():
        raise ConfigError(f"--out {out}: no folder {out.parent}; make it first")
    try:
        with TemporaryFile(dir=out.parent):
            pass
    except OSError as error:
        raise ConfigError(
            f"--out {out}: can't be written there ({error.strerror}); choose another"
        ) from error
