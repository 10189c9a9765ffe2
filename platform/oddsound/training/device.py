"""Where networks are trained and scored."""

from __future__ import annotations

import torch


def exact_device() -> str:
    """The GPU where there is one, made exact: float32 means float32, and the same trial the same scores."""
    if not torch.cuda.is_available():
        return "cpu"
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    return "cuda"
