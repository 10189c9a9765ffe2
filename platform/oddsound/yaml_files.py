"""YAML as users write it, read strictly.

Beyond PyYAML's safe loader: a key that stands twice in a mapping is an error, so are anchors and
aliases (they can explode) and keys that are no text. Numbers are decimal: `1e-3` is one, YAML 1.1's `010`
(octal) and `1:30` (sexagesimal) aren't. A mapping knows at which line and column its keys are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from oddsound.errors import ConfigError

MAX_BYTES = 1 << 20
_MAX_DIGITS = 1000
_TAG = "tag:yaml.org,2002:"
Place = tuple[int | str, ...]
"""Keys and list places from the document's top to a value."""


class Placed(dict[str, Any]):
    """A mapping that knows where it was written: `where` as a whole, `marks` by place the line and column,
    both from 1."""

    def __init__(
        self, values: Mapping[str, Any], where: str, marks: Mapping[Place, tuple[int, int]] | None = None
    ) -> None:
        super().__init__(values)
        self.where, self.marks = where, dict(marks or {})

    def at(self, place: Place) -> str:
        """`file:line:column` of the key at `place`, or of the nearest around it that stands there."""
        for length in range(len(place), 0, -1):
            if place[:length] in self.marks:
                line, column = self.marks[place[:length]]
                return f"{self.where}:{line}:{column}"
        return self.where


class _StrictLoader(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(problem="aliases are not taken", problem_mark=self.get_mark())
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag != _TAG + "str":
                raise _flaw("a key must be plain text; put it in quotes if it is meant so", key)
            if key.value in lines:
                raise _flaw(f"key {key.value!r} twice, first in line {lines[key.value]}; remove one", key)
            lines[key.value] = key.start_mark.line + 1
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        if len(node.value) > _MAX_DIGITS:
            raise _flaw(f"a number of {len(node.value)} digits", node)
        return int(node.value)


def _flaw(problem: str, node: yaml.Node) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


_INT = re.compile(r"^[-+]?(?:0|[1-9]\d*)$", re.ASCII)
_FLOAT = re.compile(
    r"^[-+]?(?:(?:\d+\.\d*|\.\d+)(?:e[-+]?\d+)?|\d+e[-+]?\d+|\.inf)$|^\.nan$", re.ASCII | re.IGNORECASE
)


class _Dumper(yaml.SafeDumper):
    """Quotes what either reading takes for something else than text."""


# In the place of YAML 1.1's, which PyYAML has.
_StrictLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in known if tag not in (_TAG + "int", _TAG + "float")]
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _reader in (_StrictLoader, _Dumper):
    _reader.add_implicit_resolver(_TAG + "int", _INT, list("-+0123456789"))
    _reader.add_implicit_resolver(_TAG + "float", _FLOAT, list("-+.0123456789"))
_StrictLoader.add_constructor(_TAG + "int", _StrictLoader.construct_yaml_int)


def parse_yaml(text: str, where: str) -> Any:
    """The document in `text`; a mapping is a `Placed` one. Raises ConfigError by line and column."""
    try:
        loader = _StrictLoader(text)
        node = loader.get_single_node()
        value = None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        at = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise ConfigError(f"{where}{at}: {error.problem or 'not YAML'}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(
            f"{where}: not YAML ({type(error).__name__}: {str(error).splitlines()[0]})"
        ) from error
    return Placed(value, where, dict(_marks(node))) if node and isinstance(value, dict) else value


def _marks(node: yaml.Node, place: Place = ()) -> Iterator[tuple[Place, tuple[int, int]]]:
    """Where each key and each item of a list begins."""
    inner: list[tuple[int | str, yaml.Node, yaml.Node]] = []
    if isinstance(node, yaml.MappingNode):
        inner = [(key.value, key, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        inner = [(number, item, item) for number, item in enumerate(node.value)]
    for name, begins, value in inner:
        yield (*place, name), (begins.start_mark.line + 1, begins.start_mark.column + 1)
        yield from _marks(value, (*place, name))


def read_mapping(path: Path) -> Placed:
    """The mapping in the YAML file at `path`. Raises ConfigError where there is none."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{path}: larger than {MAX_BYTES} bytes; that is no settings file")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{path}: can't be read ({why}); give a YAML file") from error
    document = parse_yaml(text, str(path))
    if not isinstance(document, Placed):
        raise ConfigError(f"{path}: expected a mapping of keys to values, as `oddsound init` writes")
    return document


def scalar(value: Any) -> str:
    """`value` as YAML writes it, on one line, so that `parse_yaml` reads the same."""
    written = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, allow_unicode=True, width=10**6)
    return str(written).removesuffix("...\n").rstrip("\n")
