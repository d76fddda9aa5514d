"""The interface of a solver: a proposal and an energy in, a state per iteration out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..energies.energy import Potential, Sloped


@dataclass(frozen=True)
class Iterate:
    """The state after some iterations.

    state [B, T, D]; change [B, T], relative; energy [B, T] of this state where it was asked for;
    active [B, T], True where the last iteration could move; residual [B, T], ||∇Φ|| / ||h|| of this
    state, where it was asked for.
    """

    state: Tensor
    change: Tensor
    energy: Tensor | None
    active: Tensor
    residual: Tensor | None = None


class Solver(ABC):
    """Refines every position by itself."""

    @abstractmethod
    def solve(
        self,
        potential: Potential,
        proposal: Tensor,
        iterations: int,
        *,
        create_graph: bool = False,
        watch: bool = False,
    ) -> Iterator[Iterate]:
        """Yield the state after 0, 1, … `iterations` iterations from the proposal [B, T, D].

        With create_graph the states can be differentiated (unrolled training). With watch every
        state comes with its energy; without it the last state's is not evaluated.
        """


def slope(potential: Potential, state: Tensor, create_graph: bool) -> tuple[Tensor, Tensor]:
    """∇L [B, T, D] and L [B, T] at a state; works under no_grad, leaves no .grad.

    Attention inside an energy runs on the plain kernel, since fused ones have no second
    derivative. A slope in closed form is taken as it is.
    """
    if isinstance(potential, Sloped):
        with torch.set_grad_enabled(create_graph):
            return potential.slope(state)
    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
        if not create_graph or not state.requires_grad:
            state = state.detach().requires_grad_()
        energy = potential(state.view_as(state))  # torch's FLOP counter cannot watch a leaf
        (gradient,) = torch.autograd.grad(energy.sum(), state, create_graph=create_graph)
    return (gradient, energy) if create_graph else (gradient, energy.detach())


def energies(potential: Potential, state: Tensor) -> Tensor:
    """L [B, T] with a first derivative, by the cheaper way there is."""
    return potential.level(state) if isinstance(potential, Sloped) else potential(state)
