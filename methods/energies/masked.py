"""Masked prediction: the state and the visible inputs must tell the hidden ones.

Jafari and Anbarjafari 2025, arXiv:2511.21882v1, Eq. 13:
L_mask(h_t) = −(1/|M|) Σ_{i∈M} log p_ψ(x_i | h_t, x_≤t∖M), p_ψ a two-layer MLP.
Choices where the paper is silent: p_ψ is told the position i it is asked for (as printed it has
none, so that it could only give one answer for all of M); the visible inputs enter as the mean of
their embeddings with positions; a state is asked for its `targets` most recent hidden positions.
Whether position i is hidden is drawn from a hash of the row before i: fixed at test time, without
a generator, and causal, since what comes later cannot change it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...tasks.counter import GOLDEN, MIX_1, mix, uniform
from ..layers.positions import sinusoids
from .energy import Context, Energy, Potential, Sloped
from .hidden_units import Questions


class MaskedPrediction(Energy):
    """−log p_ψ of the hidden inputs, in nats; 0 where nothing is hidden yet."""

    def __init__(self, width: int, classes: int, share: float, targets: int) -> None:
        super().__init__()
        if not 0 < share < 1:
            raise ValueError(f"expected a masked share between 0 and 1, got {share}")
        self.share, self.targets = share, targets
        self.state = nn.Linear(width, width)
        self.visible = nn.Linear(width, width, bias=False)
        self.position = nn.Linear(width, width, bias=False)
        self.out = nn.Linear(width, classes)

    def bind(self, context: Context) -> Potential:
        """The first layer's parts without the state are computed once."""
        hidden = hidden_positions(context.inputs, self.share, context.salt)
        asked, valid = recent(hidden, self.targets)  # [B, T, M]
        rows, length, count = asked.shape
        places = sinusoids(length, self.visible.in_features, asked.device)
        places = self.position(places.to(context.embedded.dtype))  # [T, D]
        seen = self.visible(visible_mean(context.embedded, hidden))
        flat = asked.view(rows, length * count)
        answers = context.inputs.gather(1, flat).view(rows, length, count, 1)
        counts = valid.sum(-1).clamp_min(1)
        shares = (valid.to(seen.dtype) / counts.unsqueeze(-1)).flatten(0, 1)

        def potential(state: Tensor) -> Tensor:
            known = seen.unsqueeze(2) + places[asked]  # [B, T, M, D]
            logits = self.out(F.silu(self.state(state).unsqueeze(2) + known))  # [B, T, M, V]
            nats = -logits.log_softmax(-1).gather(-1, answers).squeeze(-1)
            return (nats * valid).sum(-1) / counts

        def told(state: Tensor, sloped: bool) -> tuple[Tensor, Tensor]:
            own = (self.state(state) + seen).flatten(0, 1)
            what = (asked.flatten(0, 1), answers.view(-1, count), shares)
            return Questions.apply(own, places, self.out.weight, self.out.bias, *what, sloped)

        def slope(state: Tensor) -> tuple[Tensor, Tensor]:
            slopes, energies = told(state, True)
            return slopes.view_as(state) @ self.state.weight, energies.view(rows, length)

        return Sloped(potential, slope, lambda state: told(state, False)[1].view(rows, length))


def hidden_positions(inputs: Tensor, share: float, salt: int) -> Tensor:
    """True where a position is hidden, [B, T]; position i's draw hashes the inputs before it."""
    places = torch.arange(1, inputs.shape[1] + 1, device=inputs.device) * GOLDEN
    marks = mix(inputs * MIX_1 + places + salt)
    before = marks.cumsum(1) - marks
    return uniform(mix(before + places)) < share


def recent(hidden: Tensor, targets: int) -> tuple[Tensor, Tensor]:
    """The most recent hidden positions up to each one: indices and validity, [B, T, M].

    M = min(targets, T), or T for targets = 0; it never depends on the rows.
    """
    length = hidden.shape[1]
    count = min(targets, length) if targets else length
    order = (~hidden).long().argsort(dim=1, stable=True)  # hidden positions first, ascending
    slots = hidden.cumsum(1).unsqueeze(-1) - 1 - torch.arange(count, device=hidden.device)
    valid = slots >= 0
    flat = slots.clamp_min(0).view(len(hidden), -1)
    return order.gather(1, flat).view_as(slots), valid


def visible_mean(embedded: Tensor, hidden: Tensor) -> Tensor:
    """Mean embedding of the visible inputs up to each position, [B, T, D]."""
    visible = (~hidden).unsqueeze(-1).to(embedded.dtype)
    return (embedded * visible).cumsum(1) / visible.cumsum(1).clamp_min(1)
