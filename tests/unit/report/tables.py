"""Small tables to render."""

from oddsound.report.table1 import Measured, Table1, build_table1


def two_machines() -> Table1:
    """Slider and fan; the pretrained row lacks fan, S1 its second choice, the rest is not measured."""
    return build_table1(
        {
            "effnet": {"slider": Measured(0.7, 0.71234), "fan": Measured(0.65, 0.6611)},
            "effnet_pretrain": {"slider": Measured(0.61784, 0.63)},
            "S1": {"slider": Measured(0.7), "fan": Measured(0.65)},
        },
        ["slider", "fan"],
    )
