"""An energy that is told what other positions hold: E(h; c) = Σ_j w_j softplus(W_j · h + c_j).

Ours, for EqT-plus. The condition c [..., U] is all that the energy of a position knows of the row;
it is held while h descends, so that no slope crosses positions. The slope in h is closed,

    ∇E = W (w ⊙ σ(Wᵀh + c)),    ∇²E = W diag(w ⊙ σ′) Wᵀ,    ||∇²E|| ≤ max|w| ||W||² / 4,

bounded and smooth, so that Φ = E + ||h − f||²/2γ keeps h within γ max||∇E|| of its proposal. With
w ≥ 0 the energy is convex, Φ has one minimum and descent converges at a linear rate (Theorem 2 of
Jafari and Anbarjafari 2025, arXiv:2511.21882v1); c may shape that minimum in any way.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HEIGHT = 0.5
"""Standard deviation of the initial w at two units a channel: a first slope of about 0.4."""


class CoupledEnergy(nn.Module):
    """Softplus units over the state, each with a height w_j; no unit."""

    def __init__(self, width: int, units: int, convex: bool) -> None:
        super().__init__()
        self.convex = convex
        self.weight = nn.Parameter(torch.randn(width, units) / width**0.5)
        heights = HEIGHT * (2 * width / units) ** 0.5 * torch.randn(units)
        self.raw = nn.Parameter(heights.abs().expm1().log() if convex else heights)

    def heights(self) -> Tensor:
        """w [U]; not negative where the energy is convex."""
        return F.softplus(self.raw) if self.convex else self.raw

    def forward(self, state: Tensor, condition: Tensor) -> Tensor:
        """E of states [..., D] under conditions [..., U], [...]."""
        return F.softplus(state @ self.weight + condition) @ self.heights()

    def smoothness(self) -> float:
        """An upper bound of the curvature, max|w| ||W||² / 4."""
        spectral = torch.linalg.matrix_norm(self.weight.detach(), 2)
        return float(self.heights().detach().abs().max() * spectral**2 / 4)
