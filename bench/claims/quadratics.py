"""Energies with known constants, and what our solver does on them: the theory's test bench.

Everything is float64, seeds are fixed, and a rest point is found without the solver that is judged.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ...methods.solvers.proximal import Proximal

Potential = Callable[[Tensor], Tensor]
WIDTH, STARTS = 12, 64


def generator(seed: int) -> torch.Generator:
    """A generator of its own."""
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: torch.Generator) -> Tensor:
    """Standard normal draws, float64."""
    return torch.randn(*shape, generator=seed, dtype=torch.float64)


def hessian_between(low: float, high: float, seed: torch.Generator) -> Tensor:
    """A symmetric matrix with eigenvalues in [low, high], both ends taken, [D, D]."""
    inner = low + (high - low) * torch.rand(WIDTH - 2, generator=seed, dtype=torch.float64)
    values = torch.cat([torch.tensor([low, high], dtype=torch.float64), inner])
    basis = torch.linalg.qr(normal(WIDTH, WIDTH, seed=seed))[0]
    return basis * values @ basis.T


class Quadratic:
    """L(h) = ½(h − a)ᵀA(h − a) with Φ's minimum from proposals f in closed form."""

    def __init__(self, hessian: Tensor, centre: Tensor) -> None:
        self.hessian, self.centre = hessian, centre

    def __call__(self, state: Tensor) -> Tensor:
        """[..., D] -> [...]."""
        away = state - self.centre
        return ((away @ self.hessian) * away).sum(-1) / 2

    def rest(self, proposal: Tensor, gamma: float) -> Tensor:
        """argmin L(h) + ||h − f||²/2γ, [..., D]."""
        eye = torch.eye(len(self.hessian), dtype=torch.float64)
        right = self.hessian @ self.centre + proposal / gamma
        return torch.linalg.solve(self.hessian + eye / gamma, right.mT).mT


class Bent:
    """L(h) = μ/2 ||h − a||² + Σ softplus(Wᵀ(h − a)): convex; smooth with μ + ||W||²/4."""

    def __init__(
        self, low: float, high: float, seed: torch.Generator, centre: Tensor | float = 0.0
    ) -> None:
        raw = normal(WIDTH, 2 * WIDTH, seed=seed)
        self.low, self.centre = low, centre
        self.weight = raw * (4 * (high - low)) ** 0.5 / torch.linalg.matrix_norm(raw, 2)

    def __call__(self, state: Tensor) -> Tensor:
        """[..., D] -> [...]."""
        away = state - self.centre
        bend = torch.nn.functional.softplus(away @ self.weight).sum(-1)
        return self.low / 2 * away.square().sum(-1) + bend

    def hessian(self, state: Tensor) -> Tensor:
        """∇²L of states [..., D], [..., D, D]."""
        on = torch.sigmoid((state - self.centre) @ self.weight)
        eye = torch.eye(state.shape[-1], dtype=torch.float64)
        return self.low * eye + (self.weight * (on * (1 - on))[..., None, :]) @ self.weight.T

    def rest(self, proposal: Tensor, gamma: float) -> Tensor:
        """Φ's minimum by Newton's method, [..., D]."""
        return newton(self, self.hessian, proposal, proposal, gamma)


def newton(
    potential: Potential,
    hessian: Callable[[Tensor], Tensor],
    start: Tensor,
    proposal: Tensor,
    gamma: float,
    steps: int = 20,
) -> Tensor:
    """A zero of ∇Φ near the start, by damped Newton steps."""
    state, eye = start, torch.eye(start.shape[-1], dtype=torch.float64)
    for _ in range(steps):
        slope = gradient(potential, state) + (state - proposal) / gamma
        move = torch.linalg.solve(hessian(state) + eye / gamma, slope[..., None])[..., 0]
        length = move.norm(dim=-1, keepdim=True)
        state = state - move * (1 / length.clamp_min(1))
    return state


def gradient(potential: Potential, state: Tensor) -> Tensor:
    """∇L at states [..., D]."""
    point = state.detach().requires_grad_()
    return torch.autograd.grad(potential(point).sum(), point)[0]


def course(
    potential: Potential, proposal: Tensor, gamma: float, step: float, steps: int
) -> list[Tensor]:
    """h⁰ … h^K by our solver from proposals [N, D], each [N, D]."""
    found = Proximal(gamma, [step]).solve(potential, proposal[None], steps)
    return [each.state[0] for each in found]


def contractions(states: list[Tensor], rest: Tensor) -> Tensor:
    """||h^{k+1} − h*|| / ||h^k − h*|| of every step and start, [K, N]."""
    away = torch.stack([(state - rest).norm(dim=-1) for state in states])
    return away[1:] / away[:-1].clamp_min(torch.finfo(torch.float64).tiny)
