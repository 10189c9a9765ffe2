"""`make notebook`: executes run_in_pandas.ipynb on a run and writes it with what came of it.

    python docs/notebook/execute.py RUN [OUT]

OUT is the notebook itself if nothing else is said; it is written only where no cell failed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).with_name("run_in_pandas.ipynb")


def execute(run: Path, out: Path) -> None:
    """The kernel is this Python's, on loopback, whatever kernels and start-up files the user has; it works
    beside the run, so that no cell shows where that lies. Times aren't recorded."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    run = run.resolve()
    beside = {"metadata": {"path": str(run.parent)}}
    with TemporaryDirectory() as own:
        os.environ |= {"JUPYTER_DATA_DIR": own, "IPYTHONDIR": own, "RUN": run.name}
        client = NotebookClient(
            notebook, kernel_name="python3", record_timing=False, timeout=300, resources=beside
        )
        client.execute()
    nbformat.validate(notebook)
    nbformat.write(notebook, out)


if __name__ == "__main__":
    execute(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else NOTEBOOK)
