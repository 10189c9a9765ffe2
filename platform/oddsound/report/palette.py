"""The pages' colours by name, one set for light pages and one for dark, and their stand-ins in drawings.

Each is 4.5 : 1 or more against its page, but `line`, which only rules.
"""

from __future__ import annotations

from types import MappingProxyType

LIGHT = MappingProxyType(
    {
        "ink": "#1b1f24",
        "paper": "#ffffff",
        "soft": "#57606a",
        "line": "#c4ccd4",
        "band": "#f6f8fa",
        "blue": "#0b62c4",
        "orange": "#b84a00",
        "green": "#1a7340",
        "purple": "#7a48d0",
        "gold": "#8a5d00",
        "red": "#b3162b",
    }
)
DARK = MappingProxyType(
    {
        "ink": "#e6edf3",
        "paper": "#0d1117",
        "soft": "#9aa4af",
        "line": "#454d56",
        "band": "#161b22",
        "blue": "#5aa9ff",
        "orange": "#f28b45",
        "green": "#4cc267",
        "purple": "#bd93ff",
        "gold": "#dba52e",
        "red": "#ff8078",
    }
)
INK, SOFT, LINE = "#010101", "#010102", "#010103"
BLUE, ORANGE, GREEN, PURPLE, GOLD, RED = (f"#0101{place:02x}" for place in range(0x10, 0x16))
CURVES = (BLUE, ORANGE, GREEN, PURPLE, GOLD, RED)
"""For lines that are to be told apart, in this order."""
STAND_INS = MappingProxyType(
    {
        INK: "ink",
        SOFT: "soft",
        LINE: "line",
        BLUE: "blue",
        ORANGE: "orange",
        GREEN: "green",
        PURPLE: "purple",
        GOLD: "gold",
        RED: "red",
    }
)
"""What matplotlib is given for each colour that a drawing may have."""
