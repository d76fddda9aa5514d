"""Noise for answers that repeat: a hash of what a position has read, in place of a generator.

So that the same inputs give the same answer, a row does not depend on its batch mates, and the
future stays unseen. The hash is the tasks' counter hash (`tasks/counter.py`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...tasks.counter import GOLDEN, MIX_1, MIX_2, mix, uniform


def hashed_uniform(inputs: Tensor, channels: int, salt: int = 0) -> Tensor:
    """Draws of U[0, 1), float64 [B, T, C]: a hash of position, inputs ≤ t, channel and salt.

    Draws of different salts are independent, as different steps of a sampler need.
    """
    places = torch.arange(1, inputs.shape[1] + 1, device=inputs.device) * GOLDEN
    past = mix(inputs * MIX_1 + places).cumsum(1)
    kinds = torch.arange(1, channels + 1, device=inputs.device) * MIX_2
    salted = torch.tensor(salt, device=inputs.device) * MIX_1  # a tensor's product wraps around
    return uniform(mix(mix(past + places)[..., None] + kinds + salted))


def hashed_normal(inputs: Tensor, channels: int, salt: int = 0) -> Tensor:
    """Draws of N(0, 1), float64 [B, T, C], from `hashed_uniform`'s."""
    return torch.special.ndtri(hashed_uniform(inputs, channels, salt).clamp_min(2.0**-53))
