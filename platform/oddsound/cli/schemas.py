"""JSON Schemas of the YAML that users write, for editors: of a run, of a search space, of settings."""

from __future__ import annotations

from typing import Any

from oddsound.cli.run_file import model, settings_model
from oddsound.config import TrialConfig, flattened
from oddsound.search.space import SEED, WEIGHTS
from oddsound.search.space_yaml import SpaceFile

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
OF = ("run", "space", "settings")


def schema(of: str) -> dict[str, Any]:
    """`run`: what `oddsound init` writes; `space`: search_spaces/*.yaml; `settings`: what --config takes."""
    made = {"run": _run, "space": _space, "settings": settings_model().model_json_schema}[of]()
    return {"$schema": _DIALECT, **made, "title": f"oddsound: {of}"}


def _run() -> dict[str, Any]:
    """A section without a value is one that says nothing."""
    made = model().model_json_schema()
    sections = [made["properties"], made["$defs"]["Settings"]["properties"]]
    for name, told in ((name, told) for properties in sections for name, told in properties.items()):
        if "$ref" in told and name != "recipe":
            told["anyOf"] = [{"$ref": told.pop("$ref")}, {"type": "null"}]
    made["required"] = ["data", "out"]
    return made


def _space() -> dict[str, Any]:
    """With what pydantic isn't told: which settings there are."""
    made, settings = SpaceFile.model_json_schema(), settings_model().model_json_schema()
    made["$defs"] |= settings.pop("$defs") | {"Settings": settings}
    here = made["properties"]
    here["base"] |= {"$ref": "#/$defs/Settings"}
    here["configurations"]["items"] = {"$ref": "#/$defs/Settings"}
    for name in ("space", "paper"):
        here[name]["propertyNames"] = {"enum": searchable()}
    return made


def searchable() -> list[str]:
    """The dotted settings that a search may try."""
    known = flattened(TrialConfig(machine="any").model_dump())
    return [name for name in known if name not in ("machine", SEED, WEIGHTS)]
