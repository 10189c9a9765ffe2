"""Python and the packages, against what oddsound asks for and what it was tested with."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import oddsound
from oddsound.cli.checks._base import Finding, failure, ok, warning

_SHOWN = ("torch", "ray", "optuna", "mlflow", "timm")
_EXTRAS = {
    "imagenet": "weights that the shipped search spaces try",
    "jobs": "`ray job submit`",
    "dashboard": "`oddsound serve optuna`",
    "server": "`oddsound serve mlflow --accounts`",
}
"""The optional parts, and what they are for."""
_NEEDED_BY_DEFAULT = ("imagenet",)
_N_NAMED = 5


def python() -> Iterator[Finding]:
    here, wanted = platform.python_version(), metadata("oddsound")["Requires-Python"]
    if SpecifierSet(wanted).contains(here, prereleases=True):
        yield ok("Python", f"{here} ({platform.platform()})", version=here, required=wanted)
    else:
        yield failure("Python", f"{here}, oddsound needs {wanted}", "make a .venv with Python 3.11")


def required() -> Iterator[Finding]:
    """What oddsound can't do without: one line where all is there, one for each that isn't."""
    wanted = [each for each in _requirements() if _holds(each)]
    lacking = [(each, why) for each in wanted if (why := _lack(each))]
    for each, why in lacking:
        yield failure("packages", f"{each.name} {why}", f"pip install '{each.name}{each.specifier}'")
    if not lacking:
        versions = {each.name: version(each.name) for each in wanted}
        shown = ", ".join(f"{name} {versions[name]}" for name in _SHOWN if name in versions)
        yield ok("packages", f"all {len(wanted)} there: {shown}", versions=versions)


def extras() -> Iterator[Finding]:
    """The optional parts: nothing is wrong without them, but for what the shipped searches use."""
    known = metadata("oddsound").get_all("Provides-Extra") or ()
    for extra, purpose in ((extra, purpose) for extra, purpose in _EXTRAS.items() if extra in known):
        wanted = [r for r in _requirements() if _holds(r, extra) and not _holds(r)]
        lacking = [f"{each.name} {why}" for each in wanted if (why := _lack(each))]
        about = f"oddsound[{extra}]"
        if not lacking:
            yield ok(about, f"installed: {purpose}", lacking=[])
        elif extra in _NEEDED_BY_DEFAULT:
            remedy = f"pip install '{about}', or --set model.pretrained=none"
            yield warning(about, f"{', '.join(lacking)}: {purpose}", remedy, lacking=lacking)
        else:
            yield ok(about, f"not installed, only for {purpose}", lacking=lacking)


def tested(constraints: Path | None = None) -> Iterator[Finding]:
    """Whether the required packages are those that the tests ran with. The wheel doesn't say: no line."""
    file = constraints or Path(oddsound.__file__).parents[2] / "constraints.txt"
    if not file.is_file():
        return
    exact = dict(line.split("==", 1) for line in file.read_text().split() if "==" in line)
    pinned = {name.lower().replace("_", "-"): known for name, known in exact.items()}
    versions = {each.name: _version(each.name) for each in _requirements() if _holds(each)}
    others = [
        f"{name} {here} for {pinned[name]}"
        for name, here in versions.items()
        if here and here != pinned.get(name, here)
    ]
    if not others:
        yield ok("tested with", "the same versions of what oddsound asks for")
        return
    named = ", ".join(others[:_N_NAMED]) + (", …" if len(others) > _N_NAMED else "")
    remedy = f"pip install -c {file} oddsound, if something is odd"
    yield warning("tested with", f"other versions: {named}", remedy, others=others)


def _requirements() -> list[Requirement]:
    return [Requirement(line) for line in requires("oddsound") or ()]


def _holds(requirement: Requirement, extra: str = "") -> bool:
    """Whether `requirement` is one here, or of oddsound[extra]."""
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def _lack(requirement: Requirement) -> str:
    """What is wrong with the package; "" where it is there, new enough, with the extras that are asked
    for."""
    here = _version(requirement.name)
    if not here:
        return "is not installed"
    if not requirement.specifier.contains(here, prereleases=True):
        return f"{here}, needed is {requirement.specifier}"
    for extra in requirement.extras:
        for line in requires(requirement.name) or ():
            needed = Requirement(line)
            if not _holds(needed) and _holds(needed, extra) and not _version(needed.name):
                return f"lacks {needed.name} of [{extra}]"
    return ""


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
