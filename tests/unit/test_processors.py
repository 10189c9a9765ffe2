"""`make test` repeats some tests as other processors compute: this says whether torch really does so."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import torch

MAKEFILE = (Path(__file__).resolve().parents[2] / "Makefile").read_text()
ASKED = os.environ.get("ATEN_CPU_CAPABILITY", "")

pytestmark = pytest.mark.trained


def test_torch_computes_as_was_asked() -> None:
    """A processor may lack the instructions that are asked for; it never uses more than those."""
    order = ["DEFAULT", "AVX2", "AVX512"]
    used = torch.backends.cpu.get_cpu_capability()
    if ASKED.upper() in order and used in order:
        assert order.index(used) <= order.index(ASKED.upper())


def test_make_test_repeats_them_under_two_settings() -> None:
    settings = dict(re.findall(r"^(\w+) := (ATEN_CPU_CAPABILITY=.*)$", MAKEFILE, re.MULTILINE))
    repeated = re.findall(r"^\t\$\((\w+)\) \$\(PYTEST\) .* -m \"?(trained[^\"\n]*)", MAKEFILE, re.MULTILINE)
    assert len(settings) == 2 and repeated == [("NO_AVX", "trained"), ("AVX2", "trained and not slow")]
    assert len({re.search(r"OMP_NUM_THREADS=(\d)", setting)[1] for setting in settings.values()}) == 2  # type: ignore[index]
