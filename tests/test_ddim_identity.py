"""What ties diffusion to the proximal solver, and where the tie ends; all in float64.

Diffusion is said to be EqT, min L(h) + ||h − f||²/2γ, with L = ½||h − D(h)||² for a denoiser D and
γ → ∞. With D held fixed inside L, DDIM is (P1): one step on each of a row of energies, of
prescribed sizes, from noise. For the exact D that energy is −σ² log p_σ (P2). Differentiated
through D it is another one (P3), with minima of its own (F1); at one σ, to the end, it finds a
point and no sample (F2).

h = x/√ᾱ and σ² = (1 − ᾱ)/ᾱ throughout; data are points of equal weight, or Gaussian.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from closedloop.methods.diffusion import Diffusion
from closedloop.methods.energies.energy import Potential
from closedloop.methods.energies.residual import held, literal
from closedloop.methods.method import Sizes, build
from closedloop.methods.solvers.ddim import DDIM
from closedloop.methods.solvers.proximal import Proximal
from closedloop.methods.solvers.solver import slope
from closedloop.tasks.parity import Parity

WIDTH, CPU = 4, torch.device("cpu")
Family = Callable[..., Tensor]  # D(h, sigma=σ)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def descend(potential: Potential, start: Tensor, size: float, steps: int = 1) -> Tensor:
    """Our solver, without a pull to the proposal."""
    *_, last = Proximal(math.inf, [size]).solve(potential, start, steps)
    return last.state


@dataclass(frozen=True)
class Points:
    """Data on points [M, D] of equal weight: their density under noise, and its denoiser."""

    points: Tensor

    def logits(self, state: Tensor, sigma: float) -> Tensor:
        return -(state.unsqueeze(-2) - self.points).square().sum(-1) / (2 * sigma**2)

    def log_density(self, state: Tensor, sigma: float) -> Tensor:
        """log p_σ up to a constant."""
        return self.logits(state, sigma).logsumexp(-1)

    def denoise(self, state: Tensor, sigma: float) -> Tensor:
        """E[clean | h = state]."""
        return self.logits(state, sigma).softmax(-1) @ self.points

    def jacobian(self, state: Tensor, sigma: float) -> Tensor:
        """∂D/∂h = Cov[clean | h]/σ², symmetric."""
        shares = self.logits(state, sigma).softmax(-1)
        centred = self.points - self.denoise(state, sigma).unsqueeze(-2)
        return torch.einsum("...m,...md,...me->...de", shares, centred, centred) / sigma**2


CLOUD = Points(normal(40, WIDTH, seed=1))
COIN = Points(torch.tensor([[-1.0], [1.0]], dtype=torch.float64))
PLACES = 1.5 * normal(1, 2000, WIDTH, seed=2)  # [B, T, D]


def random_net() -> Family:
    """A denoiser that no density has: two layers with weights as they are drawn."""
    layers = (normal(WIDTH + 1, 32, seed=3), normal(32, WIDTH, seed=4) / 4)

    def denoise(state: Tensor, sigma: float) -> Tensor:
        seen = state / (1 + sigma**2) ** 0.5
        level = torch.full_like(seen[..., :1], math.log(sigma))
        return nn.functional.silu(torch.cat([seen, level], -1) @ layers[0]) @ layers[1]

    return denoise


def sigma_of(signal: float) -> float:
    return math.sqrt((1 - signal) / signal)


# ---- what is exact ---------------------------------------------------------------------------


@pytest.mark.parametrize("family", [random_net(), CLOUD.denoise], ids=["net", "exact"])
def test_ddim_is_a_proximal_step_of_size_one_less_the_ratio_of_the_noises(family: Family) -> None:
    """P1: diffusers' run and our solver's agree after each of 20 steps, for any denoiser."""
    grid, latent = DDIM(20, CPU), normal(2, 3, WIDTH)
    state = latent / grid.signal(0) ** 0.5
    for number in range(20):
        now, then = grid.signal(number), grid.signal(number + 1)
        estimate = family(latent / now**0.5, sigma_of(now))
        latent = grid.step(number, latent, estimate, 0.0, None)
        size = 1 - sigma_of(then) / sigma_of(now)
        state = descend(held(partial(family, sigma=sigma_of(now))), state, size)
        # h starts 20,000 times as large as x, which costs four of float64's sixteen digits
        torch.testing.assert_close(state * then**0.5, latent, rtol=1e-10, atol=1e-10)
    assert size == 1


@pytest.mark.parametrize("steps", [7, 20])
def test_a_diffusion_method_without_noise_answers_by_proximal_steps(steps: int) -> None:
    """P1 for the method itself: D is its net, told its last estimate, which is taken as given."""
    config = Diffusion.Config(width=16, depth=2, heads=2, eta=0.0)
    model = build(Diffusion, config, Sizes(2, 2, 9), 3).double().eval()
    assert isinstance(model, Diffusion)
    inputs = Parity().sample(4, 9, 0, "test").to("cpu").inputs
    grid = DDIM(steps, CPU)
    state, estimate = model.noise(inputs, 0) / grid.signal(0) ** 0.5, torch.zeros(4, 9, 2).double()
    with torch.no_grad():
        for number, step in enumerate(list(model.deliberate(inputs, steps))[1:]):
            now, then = grid.signal(number), grid.signal(number + 1)
            times = torch.tensor([grid.time(number)], dtype=torch.float64)
            logits = model(inputs, state * now**0.5, estimate, times)
            torch.testing.assert_close(step.logits, logits[..., :2], rtol=0, atol=1e-9)  # as in P1
            estimate = model.clean(logits)
            size = 1 - sigma_of(then) / sigma_of(now)
            state = descend(held(lambda _, found=estimate: found), state, size)


@pytest.mark.parametrize("sigma", [0.3, 1.0, 3.0])
def test_the_held_energy_has_the_gradient_of_the_noisy_log_density(sigma: float) -> None:
    """P2: h − D(h) = ∇(−σ² log p_σ) for the exact denoiser."""
    found, _ = slope(held(lambda h: CLOUD.denoise(h, sigma)), PLACES, False)
    score, _ = slope(lambda h: CLOUD.log_density(h, sigma), PLACES, False)
    torch.testing.assert_close(found, -(sigma**2) * score, rtol=0, atol=1e-12)  # rounding


@pytest.mark.parametrize("size", [0.1, 0.5, 1.0, 1.5, 1.99])
def test_every_step_below_two_lowers_the_energy_of_the_log_density(size: float) -> None:
    """P2: its curvature I − J is at most 1, so a step gains at least α(1 − α/2)||g||²."""
    gained, promised = gains(size)
    assert bool((gained >= promised - 1e-12).all())  # rounding


def test_steps_above_two_may_raise_it() -> None:
    gained, _ = gains(2.5)
    assert float((gained < 0).double().mean()) > 0.1  # measured: 18 % of the places


def gains(size: float, sigma: float = 0.5) -> tuple[Tensor, Tensor]:
    """How much −σ² log p_σ falls in a step on the held energy, and the bound."""
    new = descend(held(lambda h: CLOUD.denoise(h, sigma)), PLACES, size)
    before, after = (-(sigma**2) * CLOUD.log_density(h, sigma) for h in (PLACES, new))
    squared = (PLACES - CLOUD.denoise(PLACES, sigma)).square().sum(-1)
    return before - after, size * (1 - size / 2) * squared


def test_noise_inside_a_linear_denoiser_adds_a_constant() -> None:
    """P4: E||h − A(h + σε)||² = ||h − Ah||² + σ²||A||², so that the gradient is the same."""
    linear, sigma, state = normal(WIDTH, WIDTH, seed=5) / 2, 0.7, normal(WIDTH, seed=6)
    draws = (state + sigma * normal(100_000, WIDTH, seed=7)) @ linear.T
    values = (state - draws).square().sum(-1)
    expected = (state - linear @ state).square().sum() + sigma**2 * linear.square().sum()
    error = float(values.std()) / len(values) ** 0.5
    assert abs(float(values.mean() - expected)) < 5 * error  # five standard errors


def test_over_all_noise_levels_the_error_of_denoising_is_the_surprise() -> None:
    """P5: ½ ∫ E|h − D(h + σε)|² dσ⁻² = −log P(h), log 2 for one of two points.

    Guo, Shamai and Verdú 2005, arXiv:cs/0412108; pointwise as in Kong et al. 2023,
    arXiv:2302.03792. One σ alone is a slice of it.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    noise, shares = torch.tensor(nodes), torch.tensor(weights / weights.sum())
    ratios = torch.linspace(1e-6, 8, 4001, dtype=torch.float64).square()[:, None]  # σ⁻², [R, 1]
    found = ((1 + noise / ratios**0.5) * ratios).tanh()  # D of two points, [R, nodes]
    errors = (1 - found).square() @ shares
    total = 0.5 * torch.trapezoid(errors, ratios[:, 0])
    assert float(total) == pytest.approx(math.log(2), rel=1e-4)  # the quadratures err by 1e-6


# ---- what is not -----------------------------------------------------------------------------


def cosine(one: Tensor, other: Tensor) -> Tensor:
    return nn.functional.cosine_similarity(one, other, -1)


def test_the_literal_gradient_is_the_held_one_through_the_jacobian() -> None:
    """P3: (I − J)ᵀ(h − D) by autograd and in closed form."""
    found, _ = slope(literal(lambda h: CLOUD.denoise(h, 0.5)), PLACES, False)
    held_one = PLACES - CLOUD.denoise(PLACES, 0.5)
    pulled = torch.einsum("btde,btd->bte", CLOUD.jacobian(PLACES, 0.5), held_one)
    torch.testing.assert_close(found, held_one - pulled, rtol=0, atol=1e-12)  # rounding


def test_the_literal_gradient_points_elsewhere() -> None:
    """P3: among 40 points its mean cosine with DDIM's is 0.79, and 6 % of the places see < 0."""
    literal_one, _ = slope(literal(lambda h: CLOUD.denoise(h, 0.5)), PLACES, False)
    between = cosine(literal_one, PLACES - CLOUD.denoise(PLACES, 0.5))
    assert 0.75 < float(between.mean()) < 0.83  # over 2000 places it moves by 0.01
    assert float((between < 0).double().mean()) > 0.04


def gaussian(variances: Tensor, sigma: float) -> Family:
    """The exact denoiser of a centred Gaussian with these variances."""
    return lambda state: state * variances / (variances + sigma**2)


def test_the_two_gradients_are_parallel_for_an_isotropic_gaussian_only() -> None:
    def between(variances: Tensor, sigma: float) -> Tensor:
        denoiser = gaussian(variances, sigma)
        return cosine(slope(literal(denoiser), PLACES, False)[0], PLACES - denoiser(PLACES))

    round_one, long_one = torch.full((WIDTH,), 2.0).double(), torch.logspace(-2, 1, WIDTH).double()
    for sigma in (0.1, 1.0, 10.0):
        assert bool((between(round_one, sigma) > 1 - 1e-12).all())  # rounding
    means = [float(between(long_one, sigma).mean()) for sigma in (100.0, 1.0, 0.3)]
    assert means[0] > 0.999 and means == sorted(means, reverse=True)
    assert means[-1] < 0.975  # measured: 0.969


@pytest.mark.parametrize("sigma", [0.3, 0.5, 0.7, 0.9])
def test_the_literal_energy_has_a_minimum_between_two_points(sigma: float) -> None:
    """F1: it vanishes where p_σ is least, too; every tenth start or more ends there, or none."""
    starts = torch.linspace(-1, 1, 400, dtype=torch.float64).reshape(1, 400, 1)  # none at 0
    ends = {}
    for energy in (literal, held):
        potential = energy(lambda h: COIN.denoise(h, sigma))
        size = 1.0 if energy is held else 0.5 * sigma**4  # its curvature there is (1 − σ⁻²)²
        found = descend(potential, starts, size, 600)
        ends[energy] = float((found.abs() < 0.05).double().mean())
    assert ends[literal] > 0.1 and ends[held] == 0


def test_one_noise_level_to_the_end_is_a_point_and_annealing_a_sample() -> None:
    """F2: variances of what Gaussian noise is mapped to, by following one standard deviation.

    Both maps are linear here, so that the end over the standard deviation's start is the spread.
    """
    variances = torch.tensor([4.0, 1.0, 0.25, 0.02], dtype=torch.float64)
    start = (variances + 20.0**2).sqrt().reshape(1, 1, WIDTH)
    stuck = descend(held(gaussian(variances, 0.5)), start, 1.0, 1000)
    assert float((stuck.square() / variances).max()) < 1e-10  # 0.94¹⁰⁰⁰ of 404, squared
    sigmas = [*torch.logspace(math.log10(20), -3, 400).tolist(), 0.0]
    state = start
    for now, then in zip(sigmas, sigmas[1:], strict=False):
        state = descend(held(gaussian(variances, now)), state, 1 - then / now)
    shares = (state.square() / variances).flatten().tolist()
    assert shares == pytest.approx([1.0] * WIDTH, abs=0.02)  # Euler's error, 1/400 of ln(2·10⁴)/2
