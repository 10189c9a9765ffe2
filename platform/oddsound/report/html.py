"""HTML that is escaped unless it was made here: what a name holds can be read, and does nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from html import escape
from typing import TypeAlias

_VOID = ("br", "col", "meta", "wbr")
_KEPT = "\n\t"


class Html(str):
    """Markup made by `element` or `text`: it is put into a page as it is."""

    __slots__ = ()


Child: TypeAlias = "str | Iterable[Child] | None"
"""Plain strings are escaped, None is nothing."""


def element(tag: str, *children: Child, **attributes: str | int | bool | None) -> Html:
    """`<tag attributes>children</tag>`.

    Attributes: None and False are left out, True has no value; `class_` is class, `data_value` data-value.
    """
    named = "".join(_attribute(name, value) for name, value in attributes.items())
    if tag in _VOID:
        return Html(f"<{tag}{named}>")
    return Html(f"<{tag}{named}>{joined(children)}</{tag}>")


def joined(children: Child, between: str = "") -> Html:
    """The children one after another; `between` is markup."""
    if children is None:
        return Html()
    if isinstance(children, str):
        return text(children)
    return Html(between.join(joined(child) for child in children))


def text(content: str) -> Html:
    """Escaped and visible; what is markup already stays as it is."""
    return content if isinstance(content, Html) else Html(escape(visible(content)))


def visible(content: str) -> str:
    """What no reader would see is spelt out: control characters, marks of direction, odd bytes of a file
    name. Lines stay lines."""
    return "".join(c if c.isprintable() or c in _KEPT else ascii(c)[1:-1] for c in content)


def sorted_by(value: float | None) -> str:
    """A cell's data-value: what its column is sorted by, in place of its text; without one it sorts last."""
    return "" if value is None else repr(value)


def page(title: str, style: str, *body: Child, script: str = "") -> str:
    """A whole document that asks for nothing: its policy allows this style and this script by their
    hashes, pictures and sounds that it holds itself, and nothing else."""
    policy = ["default-src 'none'", f"style-src {_hash(style)}"]
    policy += [f"script-src {_hash(script)}", "img-src data:", "media-src data:"] if script else []
    policy += ["base-uri 'none'", "form-action 'none'"]
    head = [
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=Html("; ".join(policy))),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", title),
        Html(f"<style>{style}</style>"),
    ]
    end = [Html(f"<script>{script}</script>")] if script else []
    whole = element("head", "\n", joined(head, "\n")), element("body", "\n", joined([*body, *end], "\n"))
    return f"<!DOCTYPE html>\n{element('html', whole, lang='en')}\n"


def _attribute(name: str, value: str | int | bool | None) -> str:
    name = name.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    if value is True:
        return f" {name}"
    return f' {name}="{text(value if isinstance(value, str) else str(value))}"'


def _hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
