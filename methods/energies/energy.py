"""The interface of an energy term: L_i(h_t; x_≤t), one number per position.

Jafari and Anbarjafari 2025, arXiv:2511.21882v1, Eq. 11: L = Σ λ_i L_i. A term is bound to a row of
inputs once, which does all that does not depend on the state; what comes back is its potential.
The energy of position t reads h_t and inputs ≤ t alone, so that the gradient of the sum over
positions is the gradient of each, and the refined state stays causal.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

Potential = Callable[[Tensor], Tensor]
"""States [B, T, D] -> energies [B, T]."""


@dataclass(frozen=True)
class Sloped:
    """A potential with its slope in closed form.

    value: states [B, T, D] -> energies [B, T], which any order of derivatives can be taken of;
    slope: states -> (slopes [B, T, D], energies), and level: states -> energies, which can be
    differentiated once.
    """

    value: Potential
    slope: Callable[[Tensor], tuple[Tensor, Tensor]]
    level: Potential

    def __call__(self, state: Tensor) -> Tensor:
        """The energies alone."""
        return self.value(state)


@dataclass(frozen=True)
class Context:
    """What a term may read beside the state.

    inputs [B, T]; embedded [B, T, D], token embeddings with positions; table [V, D], the shared
    embedding; read, states -> logits [B, T, V]; forward_map, the model's own position-wise map
    [B, T, D] -> [B, T, D]; salt, which draws the masks (0 at test time).
    """

    inputs: Tensor
    embedded: Tensor
    table: Tensor
    read: Callable[[Tensor], Tensor]
    forward_map: Callable[[Tensor], Tensor]
    salt: int = 0


class Energy(nn.Module, ABC):
    """A learned, label-free energy; `bind` is all of it."""

    @abstractmethod
    def bind(self, context: Context) -> Potential:
        """The potential of these inputs. Energies are in nats unless the term says otherwise."""


class WeightedSum(Energy):
    """L = Σ λ_i L_i (Eq. 11) over the terms given; without terms L ≡ 0."""

    def __init__(self, weights: Sequence[float], terms: Sequence[Energy]) -> None:
        super().__init__()
        self.weights, self.terms = tuple(weights), nn.ModuleList(terms)

    def bind(self, context: Context) -> Potential:
        """The weighted sum of the terms' potentials, in closed form where all of them are."""
        bound = [term.bind(context) for term in self.terms]  # type: ignore[operator]
        closed = [each for each in bound if isinstance(each, Sloped)]

        def summed(terms: Sequence[Potential], state: Tensor) -> Tensor:
            total = 0 * state.sum(-1)
            for weight, term in zip(self.weights, terms, strict=True):
                total = total + weight * term(state)
            return total

        def slope(state: Tensor) -> tuple[Tensor, Tensor]:
            slopes, energies = torch.zeros_like(state), 0 * state[..., 0]
            for weight, term in zip(self.weights, closed, strict=True):
                gradient, energy = term.slope(state)
                slopes = slopes.add(gradient, alpha=weight)
                energies = energies.add(energy, alpha=weight)
            return slopes, energies

        value = partial(summed, bound)
        if len(closed) < len(bound):
            return value
        return Sloped(value, slope, partial(summed, [each.level for each in closed]))


def pullback(
    read: Callable[[Tensor], Tensor], state: Tensor
) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """read(state), and the map from slopes in what was read to slopes in the state."""
    create = torch.is_grad_enabled()
    with torch.enable_grad():
        if not (create and state.requires_grad):
            state = state.detach().requires_grad_()
        found = read(state.view_as(state))  # torch's FLOP counter cannot watch a leaf

    def pull(slopes: Tensor) -> Tensor:
        (pulled,) = torch.autograd.grad(found, state, slopes, create_graph=create)
        return pulled

    return (found if create else found.detach()), pull


def past_mean(values: Tensor, inclusive: bool) -> Tensor:
    """Mean of values [B, T, D] over positions ≤ t (or < t, zero at the first)."""
    sums = values.cumsum(1)
    counts = torch.arange(1, values.shape[1] + 1, device=values.device)[:, None]
    if not inclusive:
        sums, counts = sums - values, counts - 1
    return sums / counts.clamp_min(1)


def windows(values: Tensor, size: int) -> Tensor:
    """The last `size` positions up to each one: [B, T, ...] -> [B, T, size, ...], oldest first.

    Positions before the row hold zeros.
    """
    padding = values.new_zeros(values.shape[0], size - 1, *values.shape[2:])
    return torch.cat([padding, values], 1).unfold(1, size, 1).movedim(-1, 2)


def window_valid(length: int, size: int, device: torch.device) -> Tensor:
    """True where an entry of `windows` lies within the row, [T, size]."""
    first = torch.arange(length, device=device)[:, None] - size + 1
    return first + torch.arange(size, device=device) >= 0
