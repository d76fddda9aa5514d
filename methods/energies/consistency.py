"""Bidirectional consistency: going forward and back should return to the state.

Jafari and Anbarjafari 2025, arXiv:2511.21882v1, Eq. 4:
L_consist(h) = ||h − F̃_φ(F_θ(h))||². Choice: F_θ is the position-wise half of the model's last
block (attention would couple positions and leak), F̃_φ a two-layer MLP that learns to invert it.
"""

from __future__ import annotations

from torch import nn

from .energy import Context, Energy, Potential


class Consistency(Energy):
    """Squared distance, summed over channels (not in nats)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inverse = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))

    def bind(self, context: Context) -> Potential:
        """Nothing can be precomputed: every part reads the state."""
        return lambda state: (state - self.inverse(context.forward_map(state))).square().sum(-1)
