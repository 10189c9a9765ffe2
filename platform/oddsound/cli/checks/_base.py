"""A finding: what was looked at, how it is, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from oddsound.errors import ConfigError, OddsoundError

State = Literal["ok", "warning", "failure"]
GIB = 1 << 30


@dataclass(frozen=True)
class Finding:
    """One line of `oddsound doctor`. `facts` are JSON, for `--json`."""

    about: str
    state: State
    said: str
    remedy: str = ""
    error: type[OddsoundError] = ConfigError
    """What a failure ends the command with."""
    facts: dict[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {name: getattr(self, name) for name in ("about", "state", "said", "remedy", "facts")}


Check = Callable[[], Iterable[Finding]]


def ok(about: str, said: str, **facts: Any) -> Finding:
    return Finding(about, "ok", said, facts=facts)


def warning(about: str, said: str, remedy: str, **facts: Any) -> Finding:
    """Something that works, but not as well, or not for everything."""
    return Finding(about, "warning", said, remedy, facts=facts)


def failure(
    about: str, said: str, remedy: str, error: type[OddsoundError] = ConfigError, **facts: Any
) -> Finding:
    """Something with which no search ends well."""
    return Finding(about, "failure", said, remedy, error, facts)


def of_error(about: str, error: OddsoundError) -> Finding:
    """A failure that another part of the program has put into words: what, and after a semicolon the
    remedy."""
    said, _, remedy = str(error).partition("; ")
    return failure(about, said.removeprefix(f"{about}: "), remedy, type(error))


def survey(checks: Iterable[tuple[str, Check]]) -> list[Finding]:
    """What all of them find; one that fails itself is a finding too, and keeps no other from looking."""
    found: list[Finding] = []
    for about, check in checks:
        try:
            found.extend(check())
        except OddsoundError as error:
            found.append(of_error(about, error))
        except Exception as error:  # whatever is broken here, the other lines are still wanted
            why = (str(error).splitlines() or [""])[0]
            remedy = "mend what it says, or install oddsound anew"
            found.append(failure(about, f"can't be looked at: {type(error).__name__}: {why}", remedy))
    return found


def gib(n_bytes: float) -> str:
    return f"{n_bytes / GIB:.1f} GiB"


def existing(folder: Path) -> Path:
    """`folder`, or the nearest above it that is there."""
    folder = folder.absolute()
    return next(each for each in (folder, *folder.parents) if each.exists())
