"""Diffusion: DDIM's arithmetic on every grid, what is denoised, what a call is told, its cost."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from closedloop.methods.diffusion import Diffusion, analog_bits
from closedloop.methods.method import Progress, Sizes, build
from closedloop.methods.solvers.ddim import DDIM, ddim
from closedloop.tasks.parity import Parity
from closedloop.tasks.task import Batch

SIZES, SMALL = Sizes(2, 2, 10), {"width": 16, "depth": 2, "heads": 2}
CPU, BUDGETS = torch.device("cpu"), [*range(1, 129), 1000, 1001]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def model(seed: int = 3, **options) -> Diffusion:
    found = build(Diffusion, Diffusion.Config(**{**SMALL, **options}), SIZES, seed)
    assert isinstance(found, Diffusion)
    return found.double().eval()


@pytest.fixture
def batch() -> Batch:
    """Eight rows whose first three positions are not scored."""
    found = Parity().sample(8, 10, 0, "train").to("cpu")
    return replace(found, mask=found.mask & (torch.arange(10) >= 3))


# ---- the grids -------------------------------------------------------------------------------


def cosine_schedule(time: float) -> float:
    """Nichol and Dhariwal's ᾱ: cos² of (t + s)/(1 + s) · π/2 over its value at 0, s = 0.008."""
    first, now = (math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2 for t in (0.0, time))
    return now / first


def test_every_budget_starts_at_noise_and_ends_at_the_estimate() -> None:
    latent, estimate, noise = normal(3, 2), normal(3, 2, seed=1), normal(3, 2, seed=2)
    for budget in BUDGETS:
        grid = ddim(budget, CPU)
        assert len(grid.indices) == budget and grid.time(0) == 1 and grid.signal(0) < 1e-8
        for eta in (0.0, 1.0):
            assert torch.equal(grid.step(budget - 1, latent, estimate, eta, noise), estimate)


def test_every_grid_has_equal_times_and_the_same_schedule() -> None:
    for budget in BUDGETS:
        grid = ddim(budget, CPU)
        for number in range(1, budget):  # at the first diffusers caps ᾱ
            assert grid.time(number) == pytest.approx(1 - number / budget, rel=1e-12)
            # diffusers holds β in float32: 6e-8 of 1 − β, a thousand times
            assert grid.signal(number) == pytest.approx(cosine_schedule(grid.time(number)), 1e-4)


@pytest.mark.parametrize("budget", [3, 20, 48, 64])
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_a_step_is_the_papers_between_neighbouring_times(budget: int, eta: float) -> None:
    """Song et al., Eq. 12 and 16, in float64: rounding alone. 48 and 64 do not divide 1000."""
    grid, latent, estimate, noise = DDIM(budget, CPU), *(normal(3, 2, seed=s) for s in range(3))
    for number in range(budget):
        now, then = grid.signal(number), grid.signal(number + 1)
        spread = eta * math.sqrt((1 - then) / (1 - now)) * math.sqrt(1 - now / then)
        residual = (latent - now**0.5 * estimate) / (1 - now) ** 0.5
        expected = then**0.5 * estimate + (1 - then - spread**2) ** 0.5 * residual + spread * noise
        found = grid.step(number, latent, estimate, eta, noise)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_noising_has_the_moments_of_its_time_row_by_row() -> None:
    clean, noise = torch.ones(3, 40_000, dtype=torch.float64), normal(3, 40_000)
    grid, times = DDIM(1000, CPU), torch.tensor([0.1, 0.5, 1.0])
    noised = grid.noised(clean, noise, times)
    for row, time in zip(noised, times.tolist(), strict=True):
        signal = cosine_schedule(time)
        error = ((1 - signal) / 40_000) ** 0.5
        assert abs(float(row.mean()) - signal**0.5) < 5 * error  # five standard errors
        assert abs(float(row.std()) / (1 - signal) ** 0.5 - 1) < 5 * 80_000**-0.5


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_a_step_with_the_true_estimate_keeps_to_the_forward_process(eta: float) -> None:
    """From x_t as it is noised to x_s as it is noised, whatever the noise of the step."""
    grid, clean = DDIM(5, CPU), torch.ones(40_000, dtype=torch.float64)
    now, then = grid.signal(2), grid.signal(3)
    latent = now**0.5 * clean + (1 - now) ** 0.5 * normal(40_000)
    found = grid.step(2, latent, clean, eta, normal(40_000, seed=1))
    error = ((1 - then) / 40_000) ** 0.5
    assert abs(float(found.mean()) - then**0.5) < 5 * error  # five standard errors
    assert abs(float(found.std()) / (1 - then) ** 0.5 - 1) < 5 * 80_000**-0.5


def test_a_latent_keeps_its_dtype_and_a_noisy_step_wants_its_noise() -> None:
    grid, latent = DDIM(4, CPU), torch.zeros(2, 3)
    assert grid.step(1, latent, latent, 1.0, latent).dtype == torch.float32
    with pytest.raises(ValueError, match="expected noise for a step with eta = 0.5"):
        grid.step(1, latent, latent, 0.5, None)
    with pytest.raises(ValueError, match="budget of at least 1 step, got 0"):
        DDIM(0, CPU)


# ---- the method ------------------------------------------------------------------------------


def test_analog_bits_are_binary_digits() -> None:
    assert analog_bits(3).tolist() == [[-1, -1], [-1, 1], [1, -1]]
    assert analog_bits(2).tolist() == [[-1], [1]]
    assert len(analog_bits(17).unique(dim=0)) == 17 and analog_bits(17).shape == (17, 5)


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_an_answer_is_the_sampler_written_out(batch: Batch, eta: float) -> None:
    """Calls at times 1, 1 − 1/K, …, each told the last estimate; step k shows call k."""
    net, grid = model(eta=eta), DDIM(5, CPU)
    latent, estimate, expected = net.noise(batch.inputs, 0), torch.zeros(8, 10, 2).double(), []
    with torch.no_grad():
        for number in range(5):
            times = torch.full((8,), 1 - number / 5, dtype=torch.float64)
            logits = net(batch.inputs, latent, estimate, times)
            estimate = logits.softmax(-1) @ analog_bits(3).double()
            noise = net.noise(batch.inputs, number + 1)
            latent = grid.step(number, latent, estimate, eta, noise)
            expected.append(logits[..., :2])
        steps = list(net.deliberate(batch.inputs, 5))
    assert torch.equal(steps[0].logits, steps[1].logits)
    for step, logits in zip(steps[1:], expected, strict=True):
        torch.testing.assert_close(step.logits, logits, rtol=0, atol=1e-9)  # rounding, fed back


@pytest.mark.parametrize("budget", [0, 1, 2, 7])
def test_a_budget_costs_as_many_calls_and_one_at_least(batch: Batch, budget: int) -> None:
    net, calls = model(), []
    net.register_forward_hook(lambda *_: calls.append(1))
    with torch.no_grad():
        net.answer(batch.inputs, budget)
    assert len(calls) == max(budget, 1)


def test_one_step_is_the_open_loop(batch: Batch) -> None:
    net = model()
    with torch.no_grad():
        none, one, two = (net.answer(batch.inputs, k).logits for k in range(3))
    assert torch.equal(none, one) and not torch.equal(one, two)


def test_steps_meet_noises_that_do_not_correlate() -> None:
    net, inputs = model(), Parity().sample(400, 40, 0, "test").to("cpu").inputs[:, 10:]
    noises = torch.stack([net.noise(inputs, salt)[:, 10:].flatten() for salt in range(6)])
    off = torch.corrcoef(noises) - torch.eye(6)
    assert float(off.abs().max()) < 5 * noises.shape[1] ** -0.5  # five standard errors
    assert float((noises.std(1) - 1).abs().max()) < 5 * (2 * noises.shape[1]) ** -0.5


def calls_of(net: Diffusion, batch: Batch) -> list[tuple[Tensor, ...]]:
    """What the net is called with in an update: inputs, latents, estimates, times, logits."""
    calls: list[tuple[Tensor, ...]] = []
    net.register_forward_hook(lambda _, given, found: calls.append((*given, found)))
    net.loss(batch, Progress(0, 1, 5))
    return calls


def test_training_tells_half_of_the_rows_the_estimate_of_a_first_call(batch: Batch) -> None:
    net = model(draws=16)
    first, second = calls_of(net, batch)
    told = (second[2] != 0).any(-1).any(-1)
    assert 32 < int(told.sum()) < 96  # of 128 coins: 5.6 standard deviations each way
    assert bool((first[2] == 0).all()) and torch.equal(first[1], second[1])
    assert torch.equal(second[2][told], net.clean(first[4])[told])
    assert not first[4].requires_grad and second[4].requires_grad


def test_a_last_estimate_changes_the_answer(batch: Batch) -> None:
    net, deaf = model(), model()
    net.estimate.weight.data.mul_(20)  # as if learnt
    deaf.estimate.weight.data.zero_()
    with torch.no_grad():
        pairs = [[m.answer(batch.inputs, k).logits for m in (net, deaf)] for k in (1, 2)]
        same = [torch.equal(*pair) for pair in pairs]
    assert same == [True, False]


def test_the_loss_is_the_cross_entropy_of_all_positions_at_stratified_times(batch: Batch) -> None:
    net = model(draws=3)
    _, (inputs, _, _, times, logits) = calls_of(net, batch)
    ids = torch.where(batch.mask, batch.targets, 2).repeat(3, 1)
    assert torch.equal(inputs, batch.inputs.repeat(3, 1))
    assert sorted((times * 24).ceil().tolist()) == list(range(1, 25))
    expected = F.cross_entropy(logits.reshape(-1, 3), ids.reshape(-1))
    assert torch.equal(net.loss(batch, Progress(0, 1, 5)).total, expected)


def test_what_stands_where_nothing_is_scored_is_no_matter(batch: Batch) -> None:
    """Its target does not move the loss, its being unscored does; no answer is `none`."""
    net, progress = model(), Progress(0, 1, 5)
    moved = replace(batch, targets=torch.where(batch.mask, batch.targets, 1 - batch.targets))
    scored = replace(batch, mask=torch.ones_like(batch.mask))
    here, there, other = (net.loss(b, progress).total for b in (batch, moved, scored))
    assert torch.equal(here, there) and not torch.equal(here, other)
    assert net.answer(batch.inputs, 2).logits.shape[-1] == SIZES.classes


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"iterations": 0}, "iterations of at least 1, got 0"),
        ({"draws": 0}, "draws of at least 1, got 0"),
        ({"eta": 1.5}, r"eta in \[0, 1\], got 1.5"),
        ({"positions": "rotary"}, "no positions 'rotary'. Known: sinusoidal, none"),
        ({"feed_forward": "moe"}, "no feed-forward 'moe'. Known: gated, plain"),
    ],
)
def test_options_that_cannot_work_are_refused(options, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Diffusion.Config(**options)
