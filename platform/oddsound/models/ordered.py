"""Safetensors whose bytes depend on nothing but what they hold."""

from __future__ import annotations

import json

_LENGTH = 8
"""Bytes of the header's length, little-endian, which a safetensors file begins with; it is a multiple
of this too."""


def in_order(content: bytes) -> bytes:
    """`content`, a safetensors file, with its header's keys sorted.

    The library writes metadata in an order that changes from call to call: the same weights would
    have another SHA-256 each time.
    """
    end = _LENGTH + int.from_bytes(content[:_LENGTH], "little")
    header = json.dumps(json.loads(content[_LENGTH:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % _LENGTH)
    return len(header).to_bytes(_LENGTH, "little") + header + content[end:]
