"""Files that would make a marker file if somebody ran or unpickled them."""

from __future__ import annotations

import pickle
from pathlib import Path


class Payload:
    """Unpickling it makes the file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.marker,)


def pickled(marker: Path, protocol: int = 4) -> bytes:
    return pickle.dumps(Payload(marker), protocol)


def code(marker: Path) -> str:
    """Python that makes the file, to be put before other code."""
    return f"from pathlib import Path\n\nPath({str(marker)!r}).touch()\n"
