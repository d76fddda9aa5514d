"""EqT-plus' refinement: proposals in, their course out, positions in turn or together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from .energies.coupled import CoupledEnergy
from .energies.energy import Context, Potential
from .energies.total import total_energy
from .eqt_config import EqTConfig
from .eqt_plus_config import EqTPlusConfig
from .layers.reading import Reading, nothing, shifted
from .layers.trunk import relative_change
from .method import Sizes
from .solvers.solver import slope

TERMS_WINDOW = 16
"""W of the paper's reverse term, as the presets of small nets have it."""


class Descent(Protocol):
    """The energy of one pass over a row, and a step down Φ(h) = E(h; c) + ||h − f||²/2γ."""

    def step(self, state: Tensor, proposal: Tensor, condition: Tensor) -> Tensor:
        """h − α [∇E(h; c) + (h − f)/γ] of states and proposals [..., D], conditions [..., U]."""

    def energy(self, state: Tensor, condition: Tensor) -> Tensor | None:
        """E(h; c), [...]; None where nothing is descended."""


class ClosedForm:
    """Down the coupled energy by its own slope; what a pass shares is made once.

    A `writing` matrix [U, D] takes the place of the transpose of the one that reads: then the map
    has no energy.
    """

    def __init__(
        self, energy: CoupledEnergy, writing: Tensor | None, size: Tensor, gamma: float
    ) -> None:
        self.coupled, self.free, self.share = energy, writing is not None, size / gamma
        matrix = energy.weight.t() if writing is None else writing
        self.down = -size * energy.heights()[:, None] * matrix  # −α diag(w) Wᵀ

    def step(self, state: Tensor, proposal: Tensor, condition: Tensor) -> Tensor:
        """See Descent."""
        on = torch.sigmoid(state @ self.coupled.weight + condition)
        return torch.lerp(state, proposal, self.share) + on @ self.down

    def energy(self, state: Tensor, condition: Tensor) -> Tensor | None:
        """See Descent."""
        return None if self.free else self.coupled(state, condition)


@dataclass(frozen=True)
class Terms:
    """Down the paper's terms of the state moved by the condition, L(h + c), by autograd."""

    potential: Potential
    size: Tensor
    gamma: float

    def step(self, state: Tensor, proposal: Tensor, condition: Tensor) -> Tensor:
        """See Descent; the condition is held, though it may have been read off this very state."""
        create, held = torch.is_grad_enabled(), state.view_as(state)
        down, _ = slope(lambda moved: self.potential(moved + condition), held, create)
        return state - self.size * (down + (state - proposal) / self.gamma)

    def energy(self, state: Tensor, condition: Tensor) -> Tensor | None:
        """See Descent."""
        return self.potential(state + condition)


@dataclass(frozen=True)
class Course:
    """What a refinement went through: h⁰ … h^K, [B, T, D] each, and the condition of each."""

    states: list[Tensor]
    conditions: list[Tensor]
    descent: Descent

    def energy(self, index: int) -> Tensor | None:
        """E(h; c) of a state, [B, T]; None where nothing is descended."""
        return self.descent.energy(self.states[index], self.conditions[index])

    def unrest(self, index: int) -> Tensor:
        """||h′ − h|| / ||h|| of a state, [B, T], with h′ where one more step would take it."""
        state, condition = self.states[index], self.conditions[index]
        moved = self.descent.step(state, self.states[0], condition)
        return relative_change(moved, state)


class Refiner(nn.Module):
    """A conditioned energy with its step size: proposals in, their course out."""

    def __init__(self, config: EqTPlusConfig, sizes: Sizes) -> None:
        super().__init__()
        width, paper = config.width, config.terms == "paper"
        units = width if paper else config.units * width
        self.reads, self.gamma = config.reading, config.gamma or torch.inf
        heads = config.heads if config.attention else 0
        told = config.reading != "none"
        self.reading = Reading(width, units, config.gates * width, heads, told)
        self.energy = (
            total_energy(EqTConfig(width=width, heads=config.heads, window=TERMS_WINDOW), sizes)
            if paper
            else CoupledEnergy(width, units, config.convex)
        )
        self.writing = None
        if config.write == "free":
            self.writing = nn.Parameter(torch.randn(units, width) / width**0.5)
        self.log_step = nn.Parameter(torch.tensor(config.step_size).log())

    def forward(self, proposal: Tensor, context: Context, iterations: int) -> Course:
        """Refine proposals f [B, T, D] of a row."""
        known, descent = self.reading.start(context.table[context.inputs]), self.descent(context)
        if self.reads == "committed" and iterations:
            return self.in_turn(proposal, known, iterations, descent)
        return self.together(proposal, known, iterations, descent)

    def descent(self, context: Context) -> Descent:
        """The energy and the step of a pass over this row."""
        size = self.log_step.exp()
        if isinstance(self.energy, CoupledEnergy):
            return ClosedForm(self.energy, self.writing, size, self.gamma)
        return Terms(self.energy.bind(context), size, self.gamma)

    def in_turn(self, proposal: Tensor, known: Tensor, iterations: int, descent: Descent) -> Course:
        """Positions one after the other, each on what those before have committed."""
        past, found, conditions = Past(self.reading, proposal), [], []
        places = zip(proposal.unbind(1), known.unbind(1), strict=True)
        for place, (here, heard) in enumerate(places):
            condition = self.reading.condition(heard + past.told(place))
            states = [here]
            for _ in range(iterations):
                states.append(descent.step(states[-1], here, condition))
            past.commit(states[-1])
            found.append(torch.stack(states))
            conditions.append(condition)
        kept = torch.stack(conditions, 1)  # [B, T, U]
        return Course(list(torch.stack(found, 2).unbind()), [kept] * (iterations + 1), descent)

    def together(
        self, proposal: Tensor, known: Tensor, iterations: int, descent: Descent
    ) -> Course:
        """All positions at once, each iteration on the states of the one before."""
        query = self.reading.ask(proposal) if self.reading.heads else None
        states, conditions = [proposal], []
        while True:
            conditions.append(self.reading.condition(known + self.heard(states[-1], query)))
            if len(states) > iterations:
                return Course(states, conditions, descent)
            states.append(descent.step(states[-1], proposal, conditions[-1]))

    def heard(self, states: Tensor, query: Tensor | None) -> Tensor | float:
        """What every position reads of the states before it, [B, T, U + 2G]."""
        if self.reads == "none":
            return 0.0
        before = shifted(states)
        told = self.reading.told(before)
        if query is None:
            return told
        return told + self.reading.attend(query, *self.reading.offer(before), causal=True)


class Past:
    """What the positions so far have committed, and what the next one is told of it."""

    def __init__(self, reading: Reading, proposal: Tensor) -> None:
        self.reading, self.last = reading, nothing(proposal)
        self.queries = reading.ask(proposal).split(1, 2) if reading.heads else None
        self.offers: list[tuple[Tensor, Tensor]] = []
        if self.queries is not None:
            self.offers.append(reading.offer(self.last[:, None]))

    def commit(self, state: Tensor) -> None:
        """Take down the state [B, D] of the position whose turn it was."""
        self.last = state
        if self.queries is not None:
            self.offers.append(self.reading.offer(state[:, None]))

    def told(self, place: int) -> Tensor:
        """What position `place` reads, [B, U + 2G]."""
        told = self.reading.told(self.last)
        if self.queries is None:
            return told
        keys, values = (torch.cat(parts, 2) for parts in zip(*self.offers, strict=True))
        found = self.reading.attend(self.queries[place], keys, values, causal=False)
        return told + found[:, 0]
