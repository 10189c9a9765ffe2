"""Commands as a user types them, in a process of their own or in this one."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from pathlib import Path

from oddsound.cli.main import main

ODDSOUND = Path(sys.executable).parent / "oddsound"


def oddsound(*line: object, timeout: float = 280) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, as the shell starts it."""
    command = [str(part) for part in (ODDSOUND, *line)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout)


def typed(*line: object) -> subprocess.CompletedProcess[str]:
    """The command in this process, for one that starts none: a new process takes seconds to import torch."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(part) for part in line])
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
    return subprocess.CompletedProcess(line, code, out.getvalue(), err.getvalue())
