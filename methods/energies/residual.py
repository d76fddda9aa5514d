"""Energies of a map's residual, ½||h − F(h)||²: what DDIM and fixed points descend, or seem to.

For F the map of a deep-equilibrium model, or the denoiser D of a diffusion model, what D takes the
clean state to be given h = clean + σ noise. Two potentials have this value and differ in what their
gradient passes:

    held:     ∇ = h − F(h)                      F(h) is held fixed while h moves
    literal:  ∇ = (I − J)ᵀ (h − F(h)),  J = ∂F/∂h

A step of size τ on the first is a damped iteration of F. With F = D, a step of size 1 − σ'/σ is one
of DDIM without noise, from σ to σ' (Song et al. 2020, arXiv:2010.02502, Eq. 12–14, with h = x/√ᾱ
and σ² = (1 − ᾱ)/ᾱ); for the exact denoiser, h − D(h) = −σ² ∇ log p_σ(h) (Efron 2011,
doi:10.1198/jasa.2011.tm11181), so that what is descended is −σ² log p_σ. The second is the energy
as the EqT paper writes it (arXiv:2511.21882v1, §4.1): its minima are the fixed points too, but it
vanishes at every stationary point of p_σ, saddles and minima included.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from .energy import Potential

Map = Callable[[Tensor], Tensor]
"""States [B, T, D] -> states [B, T, D]."""


def held(mapped: Map) -> Potential:
    """½||h − F(h)||² per position, F(h) without a gradient."""
    return lambda state: 0.5 * (state - mapped(state).detach()).square().sum(-1)


def literal(mapped: Map) -> Potential:
    """½||h − F(h)||² per position, with the gradient through F."""
    return lambda state: 0.5 * (state - mapped(state)).square().sum(-1)
