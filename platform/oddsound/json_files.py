"""JSON files of ours, read back as what they were written from, whatever hand was in them since."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from oddsound.errors import ConfigError

Kind = TypeVar("Kind")
NOTHING_ELSE = ConfigDict(extra="forbid")
"""`__pydantic_config__` of a dataclass that takes no keys but its fields."""


def read_json(path: Path) -> Any:
    """The JSON document at `path`. Raises ConfigError where it can't be read."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: can't be read as JSON ({error})") from error


def of_kind(kind: type[Kind], document: Any) -> Kind:
    """`document` as the dataclass `kind`.

    Raises ValueError, in one line, where a field is missing, unknown or not of its type.
    """
    if not isinstance(document, dict):
        raise ValueError(f"expected a mapping, got {type(document).__name__}")
    try:
        made: Kind = _adapters[kind].validate_json(json.dumps(document), strict=True)
    except ValidationError as error:
        raise ValueError("; ".join(_said(each) for each in error.errors()[:3])) from error
    return made


class _Adapters(dict[Any, TypeAdapter[Any]]):
    """Made once a kind: a run has thousands of files."""

    def __missing__(self, kind: Any) -> TypeAdapter[Any]:
        return self.setdefault(kind, TypeAdapter(kind))


_adapters = _Adapters()


def _said(error: Any) -> str:
    what = f"{error['msg'][:1].lower()}{error['msg'][1:]}"
    return f"{'.'.join(map(str, error['loc']))}: {what}"
