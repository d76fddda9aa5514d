"""The weight-tied map of a deep-equilibrium model: the input put back in at every step.

Bai, Kolter and Koltun 2019, arXiv:1909.01377v2, §3: z = f(z; x) with one map for all steps. Here
f(z; e) = LN(blocks(z + e)), e the embedded inputs, blocks the house's causal ones, LN a LayerNorm
without weights that bounds the state, as theirs has none. A trunk whose blocks serve as f has the
weights of the transformer of that depth, by name.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..solvers.fixed_point import Map
from .trunk import Trunk


def injected(trunk: Trunk, embedded: Tensor) -> Map:
    """f(·; e), states [B, T, D] -> [B, T, D], of rows embedded as e [B, T, D]."""
    return lambda state: F.layer_norm(trunk.through(state + embedded), (trunk.width,))


@torch.no_grad()
def soften(trunk: Trunk, gain: float) -> None:
    """Scale what the blocks write into the residual stream, so that f starts out contracting."""
    for block in trunk.blocks:
        for out in (block.attention.out, block.feed.down):  # type: ignore[union-attr]
            out.weight.mul_(gain)  # type: ignore[union-attr, operator]
