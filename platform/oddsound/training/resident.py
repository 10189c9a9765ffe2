"""A machine type's features where the network is."""

from __future__ import annotations

import sys
import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_SHARE = 0.25
"""Of a GPU's free memory: several trials may share it, and each has a copy."""


def resident(features: NDArray[np.floating], device: torch.device | str) -> Tensor:
    """(clips, bands, time) as a tensor of the cache's precision.

    On the CPU it is the mapped file itself, whose pages all trials of a node share. A GPU is given a copy
    once, so that no batch waits for the host; features that would take more than a quarter of its free
    memory stay on the host, and that is said on stderr.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that it can't be written: nobody does
        mapped = torch.from_numpy(features)
    if torch.device(device).type != "cuda":
        return mapped
    torch.cuda.empty_cache()  # what this worker's last trial has left
    free = torch.cuda.mem_get_info(device)[0]
    if features.nbytes > _SHARE * free:
        print(
            f"features of {features.nbytes / 1e9:.1f} GB stay on the host: {free / 1e9:.1f} GB of GPU memory "
            "are free; features.dtype float16 halves them",
            file=sys.stderr,
        )
        return mapped
    return mapped.to(device)
