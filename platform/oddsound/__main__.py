"""`oddsound`, and `python -m oddsound`: a Ctrl-C is heard while the commands are still being loaded, too."""

from __future__ import annotations

import sys


def main() -> None:
    try:
        from oddsound.cli.main import main as command_line
    except KeyboardInterrupt:
        print("oddsound: interrupted; nothing was begun", file=sys.stderr)
        sys.exit(130)
    command_line()


if __name__ == "__main__":
    main()
