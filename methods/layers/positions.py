"""Absolute positions as fixed sinusoids (Vaswani et al. 2017, arXiv:1706.03762v7, §3.5)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

POSITIONS = ("sinusoidal", "none")


def sinusoids(length: int, width: int, device: torch.device | None = None) -> Tensor:
    """Sines in the even and cosines in the odd channels, [length, width] float32.

    Raises:
        ValueError: an odd width.
    """
    if width % 2:
        raise ValueError(f"expected an even width for sinusoidal positions, got {width}")
    rates = torch.exp(torch.arange(0, width, 2, device=device) * (-math.log(10_000.0) / width))
    angles = torch.arange(length, device=device)[:, None] * rates  # [length, width / 2]
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1)
