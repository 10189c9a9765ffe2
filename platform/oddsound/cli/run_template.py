"""A run's YAML with every key in it, each commented out with its default and what it is for.

    # What the key is for.
    #key: default

Sections stand there without a value, which says nothing; so a key is set by taking away one `#`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from oddsound.cli.run_file import SETTINGS, default_of, describe, keys, settings_model
from oddsound.yaml_files import scalar

_WIDTH = 100
_GIVEN = {"data": "data/dcase2021", "out": "runs/first"}
"""What every run needs: not commented out."""
_EMPTY: dict[str, Any] = {"weights": {}, "config": [], "pin": []}
_EXAMPLES = {
    "machines": "[fan, pump]",
    "weights": "{audioset: cnn.pth}",
    "config": "[smoke]",
    "pin": "[valve]",
}
"""Of what has another form than on the command line."""
_LEFT_OUT = ("training.seed", "model.pretrained_sha256")
"""Settings that the search gives."""
_HEADER = """\
One run of oddsound: oddsound run --file FILE (also search, plan, features, config show).

Every key stands here with its default; take away the # before one to set it. A key without a value
says nothing. What the command line says comes before this file, --set before everything; relative
paths are of the folder that the command is given in, as there.
"""
_SETTINGS = """\
Of every trial, over those of its search space: what is set here is no longer searched. `oddsound
config show --file FILE` prints what a trial then is.
"""


def template(schema: str = "") -> str:
    """The text of the file; `schema` is the name of the JSON Schema that an editor is to check it with."""
    lines = [f"# yaml-language-server: $schema={schema}"] if schema else []
    lines += _comment(_HEADER, 0)
    for key, param in keys().items():
        example = f" E.g. {_EXAMPLES[key]}" if key in _EXAMPLES else ""
        lines += ["", *_comment(describe(key, param) + example, 0), _option(key, default_of(param))]
    lines += ["", *_comment(_SETTINGS, 0), f"{SETTINGS}:"]
    return "\n".join([*lines, *_settings(settings_model().model_json_schema()), ""])


def _settings(schema: Mapping[str, Any]) -> Iterator[str]:
    for name, told in schema["properties"].items():
        section = _resolved(schema, told)
        yield ""
        yield from _comment(_told({"description": section.get("description", ""), **told}), 2)
        if "properties" not in section:
            yield f"  #{name}: {scalar(told.get('default'))}"
            continue
        yield f"  {name}:"
        for key, inner in section["properties"].items():
            if f"{name}.{key}" not in _LEFT_OUT:
                yield from _comment(_told(inner), 4)
                yield f"    #{key}: {scalar(inner.get('default'))}"


def _option(key: str, default: Any) -> str:
    """The option's line; one without a default is left without a value."""
    if key in _GIVEN:
        return f"{key}: {_GIVEN[key]}"
    default = _EMPTY.get(key, default)
    return f"#{key}:" if default is None else f"#{key}: {scalar(default)}"


def _told(schema: Mapping[str, Any]) -> str:
    """What a setting is for, and what it may be."""
    text = " ".join(schema.get("description", "").split())
    return f"{text} {_allowed(schema)}".strip()


def _allowed(schema: Mapping[str, Any]) -> str:
    """Its choices or its bounds, in brackets; "" where it has none."""
    for kind in (schema, *schema.get("anyOf", ())):
        if "enum" in kind:
            return f"[{', '.join(str(choice) for choice in kind['enum'] if choice != '')}]"
        named = (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
        if bounds := [f"{sign}{kind[name]:g}" for name, sign in named if name in kind]:
            return f"[{', '.join(bounds)}]"
    return ""


def _resolved(schema: Mapping[str, Any], told: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = told.get("$ref", "")
    found: Mapping[str, Any] = schema["$defs"][reference.rpartition("/")[2]] if reference else told
    return found


def _comment(text: str, indent: int) -> list[str]:
    margin = " " * indent
    lines = [
        line
        for paragraph in text.strip().split("\n\n")
        for line in [*textwrap.wrap(" ".join(paragraph.split()), _WIDTH - indent - 2), ""]
    ]
    return [f"{margin}# {line}".rstrip() for line in lines[:-1]]
