"""What training by denoising draws for every row, from a generator: its noise level, its mask."""

from __future__ import annotations

import torch
from torch import Tensor


def strata(rows: int, generator: torch.Generator) -> Tensor:
    """One uniform draw of [0, 1) from each of as many equal parts as there are rows, [B]."""
    device = generator.device
    within = torch.rand(rows, generator=generator, device=device)
    places = (torch.arange(rows, device=device) + within) / rows
    return places.clamp_max(1 - 2**-24)  # float32 would round the last one up to 1


def scattered(rows: int, length: int, generator: torch.Generator) -> Tensor:
    """Every position masked with its row's probability t ~ U(0, 1), [B, T] bool."""
    rates = strata(rows, generator)[:, None]
    return torch.rand(rows, length, generator=generator, device=generator.device) < rates


def alternating(rows: int, length: int, generator: torch.Generator) -> Tensor:
    """Every other block masked, of the row's own length, U{1, …, T}, and phase, [B, T] bool."""
    device = generator.device
    sizes = 1 + (strata(rows, generator) * length).long()
    draws = torch.rand(rows, generator=generator, device=device)
    phases = (draws * 2 * sizes).long()
    places = torch.arange(length, device=device) + phases[:, None]
    return places // sizes[:, None] % 2 == 0
