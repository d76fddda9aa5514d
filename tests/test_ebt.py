"""EBT: what its energy may read, what a step is, and how its training differentiates it."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from closedloop.methods.ebt import EBT
from closedloop.methods.layers.noise import hashed_normal
from closedloop.methods.method import Progress, Sizes, build, cross_entropy
from closedloop.tasks.parity import Parity
from closedloop.tasks.task import Batch

SIZES, SMALL = Sizes(2, 3, 9), {"width": 16, "depth": 2, "heads": 2}


def model(seed: int = 3, **options) -> EBT:
    found = build(EBT, EBT.Config(**SMALL, **options), SIZES, seed)
    assert isinstance(found, EBT)
    return found.double().eval()


@pytest.fixture
def inputs() -> Tensor:
    return Parity().sample(4, 9, 0, "test").to("cpu").inputs


def candidates(inputs: Tensor, seed: int = 0) -> Tensor:
    shape = (*inputs.shape, SIZES.classes)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_an_energy_reads_the_candidate_of_its_own_position_alone(inputs) -> None:
    potential, logits = model().bind(inputs[:1]), candidates(inputs[:1])
    slopes = torch.autograd.functional.jacobian(lambda y: potential(y)[0], logits)[
        :, 0
    ]  # [T, T, V]
    own = torch.eye(inputs.shape[1], dtype=torch.bool)
    assert bool((slopes[~own] == 0).all()) and bool((slopes[own] != 0).all())


def test_two_streams_are_one_transformer_over_inputs_then_candidates(inputs) -> None:
    """The paper's mask: input s is seen from s on, candidate t by itself alone."""
    net, logits = model(), candidates(inputs)
    length, embedded = inputs.shape[1], net.embed(inputs)
    both = torch.cat([embedded, embedded + net.candidates(logits.softmax(-1))], 1)
    causal, own = torch.ones(length, length).tril().bool(), torch.eye(length).bool()
    nothing = torch.zeros(length, length).bool()
    seen = torch.cat([torch.cat([causal, nothing], 1), torch.cat([causal, own], 1)])  # [2T, 2T]
    for block in net.blocks:
        mapped = block.attention.qkv(block.attention_norm(both)).view(4, 2 * length, 3, 2, 8)
        mixed = F.scaled_dot_product_attention(*mapped.permute(2, 0, 3, 1, 4), attn_mask=seen)
        both = both + block.attention.out(mixed.transpose(1, 2).reshape(both.shape))
        both = block.feed_map(both)
    expected = net.head(net.norm(both[:, length:])).squeeze(-1)
    torch.testing.assert_close(net.bind(inputs)(logits), expected, rtol=0, atol=1e-12)  # rounding


def test_a_step_moves_by_alpha_times_the_slope(inputs) -> None:
    net, nudge = model(step_size=3.0), 1e-5
    with torch.no_grad():
        start, step = net.deliberate(inputs, 1)
        potential, slope = net.bind(inputs), torch.empty_like(start.logits)
        for kind in range(SIZES.classes):  # positions do not mix: one nudge serves them all
            offset = nudge * F.one_hot(torch.tensor(kind), SIZES.classes)
            ends = potential(start.logits + offset), potential(start.logits - offset)
            slope[..., kind] = (ends[0] - ends[1]) / (2 * nudge)
    # float32 holds log α to 1e-7; central differences err by nudge² and rounding / nudge
    torch.testing.assert_close(step.logits, start.logits - 3 * slope, rtol=1e-6, atol=1e-8)


def test_small_steps_lower_every_energy(inputs) -> None:
    with torch.no_grad():
        energies = [step.energy for step in model(step_size=0.1).deliberate(inputs, 5)]
    assert all(bool((new < old).all()) for old, new in zip(energies, energies[1:], strict=False))


def scored(inputs: Tensor) -> Batch:
    return Batch(inputs, inputs, torch.ones_like(inputs, dtype=torch.bool), {})


def trained_loss(net: EBT, inputs: Tensor) -> Tensor:
    return net.loss(scored(inputs), Progress(0, 1, 5)).total


def test_training_differentiates_through_the_slope(inputs) -> None:
    """Against central differences along one direction in all the weights."""
    net, nudge = model(iterations=1), 1e-5
    weights = list(net.parameters())
    gradients = torch.autograd.grad(trained_loss(net, inputs), weights)
    generator = torch.Generator().manual_seed(1)
    ways = [torch.randn(w.shape, generator=generator, dtype=w.dtype) for w in weights]
    ends = []
    with torch.no_grad():
        for sign in (1, -2):
            torch._foreach_add_(weights, ways, alpha=sign * nudge)
            ends.append(trained_loss(net, inputs))
    along = sum(float((g * w).sum()) for g, w in zip(gradients, ways, strict=True))
    found = float(ends[0] - ends[1]) / (2 * nudge)
    assert found == pytest.approx(along, rel=1e-5)  # nudge² times third derivatives
    assert abs(along) > 1e-3


def test_the_gradient_is_cut_between_steps(inputs) -> None:
    """A step's gradient is that of one step from where it starts, taken as given."""
    net, progress = model(iterations=2), Progress(0, 1, 5)
    weights, batch = list(net.parameters()), scored(inputs)
    found = torch.autograd.grad(net.loss(batch, progress).total, weights)
    state = torch.randn((4, 9, 3), generator=progress.generator()).double()
    potential, total = net.bind(inputs), torch.zeros(())
    for _ in range(2):
        state = state.detach().requires_grad_()
        (slope,) = torch.autograd.grad(potential(state).sum(), state, create_graph=True)
        state = state - net.log_step.exp() * slope
        total = total + cross_entropy(state, batch) / 2
    for one, other in zip(found, torch.autograd.grad(total, weights), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)  # float64 rounding


def test_no_iterations_are_noise_that_no_weight_touches(inputs) -> None:
    one, other = (model(seed).answer(inputs, 0) for seed in (1, 2))
    assert torch.equal(one.logits, other.logits)


def test_the_noise_is_normal_and_hashes_the_past() -> None:
    inputs = Parity().sample(500, 40, 0, "test").to("cpu").inputs
    noise = hashed_normal(inputs, 2)
    late = noise[:, 10:]  # from there on prefixes of 11 bits or more are nearly all different
    error = late.numel() ** -0.5
    assert abs(float(late.mean())) < 5 * error  # five standard errors
    assert abs(float(late.std()) - 1) < 5 * error
    assert abs(float((late[..., 0] * late[..., 1]).mean())) < 5 * (late.numel() / 2) ** -0.5
    changed = inputs.clone()
    changed[:, 20] = 1 - changed[:, 20]
    moved = (hashed_normal(changed, 2) != noise).all(-1)
    assert not bool(moved[:, :20].any()) and bool(moved[:, 20:].all())


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"iterations": 0}, "iterations of at least 1, got 0"),
        ({"step_size": 0.0}, "step_size above 0, got 0.0"),
        ({"positions": "rotary"}, "no positions 'rotary'. Known: sinusoidal, none"),
    ],
)
def test_options_that_cannot_work_are_refused(options, told) -> None:
    with pytest.raises(ValueError, match=told):
        EBT.Config(**options)
