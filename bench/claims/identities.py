"""The special cases of P9 as differences between our one solver and the thing itself.

Random cases in float64. `exact` identities differ by rounding, `limit` ones vanish as γ does what
is said, an `analogy` is no identity.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ...methods.energies.energy import Potential
from ...methods.energies.residual import held, literal
from ...methods.layers.inner import Tokens as Inner
from ...methods.layers.inner import dual, primal, step_sizes
from ...methods.method import Sizes, build
from ...methods.solvers.ddim import DDIM
from ...methods.solvers.proximal import Proximal
from ..registry import Registry
from .quadratics import STARTS, WIDTH, Quadratic, generator, hessian_between, normal

ROUNDING = 1e-10
NEAR = 1e-4
"""Under which a difference counts as gone in the limit; γ is 1e-6 or 1e6 there."""
SMALL, LARGE = 1e-6, 1e6
CASES, STEPS = STARTS, 8


@dataclass(frozen=True)
class Identity:
    """A special case: how it is meant, and the largest difference that was measured."""

    name: str
    kind: str
    differs: Callable[[], float]
    tolerance: float
    headline: bool = False
    cases: int = CASES


def descend(
    potential: Potential, start: Tensor, size: float, steps: int, gamma: float = math.inf
) -> Tensor:
    """Our solver's last state from [B, T, D]."""
    *_, last = Proximal(gamma, [size]).solve(potential, start, steps)
    return last.state


def largest(one: Tensor, other: Tensor) -> float:
    """The largest absolute difference."""
    return float((one - other).detach().abs().max())


# ---- the standard transformer and energy-based models ------------------------------------------


def zero_iterations() -> float:
    """EqT at K = 0 against a transformer with the same weights."""
    registry, sizes = Registry(), Sizes(2, 2, 12)
    nets = {}
    for name in ("eqt", "transformer"):
        method = registry.method(name)
        nets[name] = build(method, method.Config(width=16, depth=2, heads=2), sizes, 0).double()
    shared = {k: v for k, v in nets["eqt"].state_dict().items() if k.startswith("trunk.")}
    nets["transformer"].load_state_dict(shared)
    inputs = torch.randint(0, 2, (8, 12), generator=generator(0))
    with torch.no_grad():
        logits = [net.answer(inputs, 0).logits for net in nets.values()]
    return largest(*logits)


@functools.cache
def quadratic() -> tuple[Quadratic, Tensor]:
    """An energy, and proposals [N, D]."""
    energy = Quadratic(hessian_between(0.1, 10, generator(9)), normal(WIDTH, seed=generator(10)))
    return energy, normal(STARTS, WIDTH, seed=generator(11))


def to_the_proposal(gamma: float) -> float:
    """How far h* is from f."""
    energy, proposal = quadratic()
    return largest(energy.rest(proposal, gamma), proposal)


def to_the_energy(gamma: float) -> float:
    """How far h* is from the minimum of the energy alone."""
    energy, proposal = quadratic()
    return largest(energy.rest(proposal, gamma), energy.centre)


# ---- fixed points ------------------------------------------------------------------------------


@functools.cache
def contraction() -> tuple[Callable[[Tensor], Tensor], Tensor]:
    """A map with one fixed point, and starts [1, N, D]."""
    seed = generator(12)
    raw = normal(WIDTH, WIDTH, seed=seed)
    weight, bias = 0.7 * raw / torch.linalg.matrix_norm(raw, 2), normal(WIDTH, seed=seed)
    return lambda state: torch.tanh(state @ weight.T + bias), normal(1, STARTS, WIDTH, seed=seed)


def iterated(steps: int) -> Tensor:
    """z ← f(z)."""
    f, state = contraction()
    for _ in range(steps):
        state = f(state)
    return state


def deq_minimiser() -> float:
    """The fixed point against where descent of ½||h − f(h)||² ends."""
    f, start = contraction()
    return largest(descend(literal(f), start, 0.5, 1000), iterated(400))


def deq_path(held_map: bool) -> float:
    """Three fixed-point iterations against three steps of descent at α = 1."""
    f, start = contraction()
    potential = held(f) if held_map else literal(f)
    return largest(descend(potential, start, 1.0, 3), iterated(3))


# ---- diffusion ---------------------------------------------------------------------------------


def denoiser(state: Tensor, sigma: float) -> Tensor:
    """The exact denoiser of 40 points under noise σ, [..., D]."""
    points = normal(40, WIDTH, seed=generator(13))
    away = (state.unsqueeze(-2) - points).square().sum(-1)
    return (-away / (2 * sigma**2)).softmax(-1) @ points


def diffusion(held_map: bool) -> float:
    """diffusers' DDIM in 8 steps against a step of ours on each of eight energies ½||h − D_σ(h)||².

    h = x/√ᾱ, σ² = (1 − ᾱ)/ᾱ, and α = 1 − σ′/σ.
    """
    grid = DDIM(STEPS, torch.device("cpu"))
    latent = normal(1, STARTS, WIDTH, seed=generator(14))
    state = latent / grid.signal(0) ** 0.5
    for number in range(STEPS):
        now, then = grid.signal(number), grid.signal(number + 1)
        sigma, after = (math.sqrt((1 - s) / s) for s in (now, then))
        estimate = denoiser(latent / now**0.5, sigma)
        latent = grid.step(number, latent, estimate, 0.0, None)
        mapped = functools.partial(denoiser, sigma=sigma)
        potential = held(mapped) if held_map else literal(mapped)
        state = descend(potential, state, 1 - after / sigma, 1)
    return largest(state, latent)


# ---- test-time training ------------------------------------------------------------------------


def linear_attention() -> float:
    """One batch step of our solver on the weights' energy Σ ½||k W − v||² against Σ (q·k) v."""
    seed = generator(15)
    keys, values, queries = (normal(STARTS, WIDTH, seed=seed) for _ in range(3))

    def potential(flat: Tensor) -> Tensor:
        weights = flat.view(*flat.shape[:-1], WIDTH, WIDTH)
        return 0.5 * (keys @ weights - values).square().sum((-1, -2))

    start = torch.zeros(1, 1, WIDTH * WIDTH, dtype=torch.float64)
    weights = descend(potential, start, 1.0, 1).view(WIDTH, WIDTH)
    return largest(queries @ weights, (queries @ keys.T) @ values)


def delta_rule() -> float:
    """A step a token on ½||k W − v||² against W ← W + β kᵀ(v − kW), over all tokens."""
    seed, size = generator(16), 0.3
    keys, values = normal(STARTS, WIDTH, seed=seed), normal(STARTS, WIDTH, seed=seed)
    keys = keys / keys.norm(dim=-1, keepdim=True)
    ours = torch.zeros(1, 1, WIDTH * WIDTH, dtype=torch.float64)
    rule = torch.zeros(WIDTH, WIDTH, dtype=torch.float64)
    for key, value in zip(keys, values, strict=True):

        def potential(flat: Tensor, k: Tensor = key, v: Tensor = value) -> Tensor:
            weights = flat.view(*flat.shape[:-1], WIDTH, WIDTH)
            return 0.5 * (torch.einsum("d,...de->...e", k, weights) - v).square().sum(-1)

        ours = descend(potential, ours, size, 1)
        rule = rule + size * torch.outer(key, value - key @ rule)
    return largest(ours.view(WIDTH, WIDTH), rule)


def two_forms() -> float:
    """A mini-batch of TTT-Linear in its dual and its primal form: outputs and last weights."""
    seed, size = generator(17), 16
    queries, keys, values = (normal(size, WIDTH, seed=seed) for _ in range(3))
    weights = (normal(WIDTH, WIDTH, seed=seed),)
    rates = torch.rand(size, generator=seed, dtype=torch.float64) / WIDTH
    (table,) = step_sizes(rates, torch.ones(size, dtype=torch.float64))
    tokens = Inner(queries, keys, values, table)

    def error(outputs: Tensor, goal: Tensor) -> Tensor:
        return outputs - goal

    one, other = dual(weights, tokens, error, False), primal(weights, tokens, error, 1, False)
    return max(largest(one.after, other.after), largest(one.weights[0], other.weights[0]))


IDENTITIES = (
    Identity("standard transformer: K = 0", "exact", zero_iterations, 0.0, True, 96),
    Identity("standard transformer: γ → 0, h* = f", "limit", lambda: to_the_proposal(SMALL), NEAR),
    Identity(
        "energy-based model as printed: γ → 0",
        "as printed",
        lambda: to_the_energy(SMALL),
        NEAR,
        True,
    ),
    Identity(
        "energy-based model as corrected: γ → ∞", "limit", lambda: to_the_energy(LARGE), NEAR, True
    ),
    Identity("DEQ: its fixed point minimises ½||h − f(h)||²", "exact", deq_minimiser, 1e-6, True),
    Identity("DEQ: its path, f(h) held in the energy", "exact", lambda: deq_path(True), ROUNDING),
    Identity("DEQ: its path as printed", "analogy", lambda: deq_path(False), ROUNDING, True),
    Identity(
        "diffusion: DDIM, D(h) held, an energy a step",
        "exact",
        lambda: diffusion(True),
        1e-6,
        True,
    ),
    Identity("diffusion: DDIM as printed", "analogy", lambda: diffusion(False), 1e-6, True),
    Identity(
        "TTT: a batch step on the weights is linear attention",
        "exact",
        linear_attention,
        1e-9,
        True,
    ),
    Identity("TTT: a step a token is the delta rule", "exact", delta_rule, ROUNDING, cases=1),
    Identity(
        "TTT: the dual form of a mini-batch is the primal", "exact", two_forms, ROUNDING, cases=1
    ),
)
