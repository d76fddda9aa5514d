"""Test-time training: inner gradients, the dual form, the authors' layer, the delta rule."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from closedloop.methods.layers.delta import delta_chunked, delta_recurrence
from closedloop.methods.layers.inner import Trace, norm_error, scan, step_sizes, with_one
from closedloop.methods.layers.ttt import TTTConfig, TTTLayer
from closedloop.methods.method import Method, Sizes, build
from closedloop.methods.ttt_linear import TTTLinear
from closedloop.methods.ttt_mlp import TTTMLP
from closedloop.tasks.parity import Parity

KINDS = pytest.mark.parametrize("hidden", [(), (4,)], ids=["linear", "mlp"])
CLOSE = {"rtol": 1e-10, "atol": 1e-10}  # float64 rounding over some dozens of positions
SIZE = 4


def normal(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(shape, generator=generator, dtype=torch.float64)


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def weights(hidden: tuple[int, ...], scale: float = 0.5) -> tuple[Tensor, ...]:
    widths = [SIZE, *(factor * SIZE for factor in hidden), SIZE]
    pairs = enumerate(zip(widths, widths[1:], strict=False))
    return tuple(normal(2, 2, i + 1, o, seed=40 + n, scale=scale) for n, (i, o) in pairs)


def sequence(length: int, bias: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and targets of two rows and two heads."""
    query, key, target = (normal(2, 2, length, SIZE, seed=seed) for seed in (1, 2, 3))
    return (with_one(query), with_one(key), target) if bias else (query, key, target)


# ---- against gradients by autograd, and by the authors' code ------------------------------------

GAIN = 1 + normal(2, 1, SIZE, seed=9, scale=0.2)


def normed(outputs: Tensor, goal: Tensor) -> Tensor:
    return norm_error(outputs, goal, GAIN)


def model(matrices: list[Tensor], inputs: Tensor) -> Tensor:
    outputs = inputs @ matrices[0]
    for matrix in matrices[1:]:
        outputs = with_one(F.gelu(outputs, approximate="tanh")) @ matrix
    return outputs


def by_autograd(start, sequence, rates: Tensor, shares: Tensor, steps: int) -> tuple[Tensor, list]:
    """Every W_t from its definition, the inner loss differentiated by autograd."""
    (queries, keys, goals), state, answers = sequence, list(start), []
    for t in range(keys.shape[-2]):
        place = t % len(shares)
        if place == 0:
            block = state
        state, past = block, slice(t - place, t + 1)
        for _ in range(steps):
            state = [matrix.detach().requires_grad_() for matrix in state]
            outputs = F.layer_norm(model(state, keys[..., past, :]), (SIZE,), eps=1e-6)
            losses = 0.5 * (outputs * GAIN - goals[..., past, :]).square().sum(-1)
            slopes = torch.autograd.grad((shares[place] * rates[..., past] * losses).sum(), state)
            state = [matrix - slope for matrix, slope in zip(state, slopes, strict=True)]
        answers.append(model(state, queries[..., t : t + 1, :]).detach())
    return torch.cat(answers, -2), state


@KINDS
@pytest.mark.parametrize("size", [1, 4, 8])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_the_scan_is_descent_by_autograd_position_by_position(hidden, size, steps) -> None:
    rates, shares = 0.3 * uniform(2, 2, 19, seed=5), 1 / torch.arange(1.0, size + 1).double()
    start, tokens = weights(hidden), sequence(19)  # 19 is no multiple of 4 or 8
    found = scan(start, *tokens, step_sizes(rates, shares), normed, steps)
    expected, ends = by_autograd(start, tokens, rates, shares, steps)
    torch.testing.assert_close(found.after, expected, **CLOSE)
    for one, other in zip(found.weights, ends, strict=True):
        torch.testing.assert_close(one, other.detach(), **CLOSE)


@KINDS
@pytest.mark.parametrize("steps", [1, 2])
def test_the_outer_gradient_passes_the_inner_one(hidden, steps) -> None:
    """Against finite differences, from the weights, the sequence and the step sizes."""
    query, key, goal = sequence(3)
    rates, shares = 0.3 * uniform(2, 2, 3, seed=5), 1 / torch.arange(1.0, 3).double()
    leaves = [leaf.requires_grad_() for leaf in (query, key, goal, rates, shares)]

    def run(query: Tensor, key: Tensor, goal: Tensor, rates: Tensor, shares: Tensor, *start):
        return scan(start, query, key, goal, step_sizes(rates, shares), normed, steps).after

    start = [matrix.requires_grad_() for matrix in weights(hidden)]
    torch.autograd.gradcheck(run, (*leaves, *start), fast_mode=True)


def wave(shape: torch.Size | tuple[int, ...], number: int, scale: float) -> Tensor:
    """Weights that need no generator: scale · sin((0.7 + number/10) i + number)."""
    places = torch.arange(torch.Size(shape).numel(), dtype=torch.float64)
    return scale * torch.sin(places * (0.7 + 0.1 * number) + number).view(shape)


def waved(hidden: tuple[int, ...], size: int, rate: float) -> TTTLayer:
    layer = TTTLayer(TTTConfig(width=8, heads=2, mini_batch=size, rate=rate), hidden).double()
    first = ((layer.qkv.weight, 0.5), (layer.gate, 0.5), (layer.gate_shift, 0.5))
    inner = ((layer.share_shift, 0.1), (layer.gain, 0.3), (layer.shift, 0.3))
    for number, (weight, scale) in enumerate((*first, *inner), 1):
        weight.data = wave(weight.shape, number, scale)
    for number, weight in enumerate(layer.weights, 7):
        weight.data = wave(weight.shape, number, 0.4)
    last = ((layer.post_norm.weight, 0.3), (layer.post_norm.bias, 0.3), (layer.out.weight, 0.5))
    for number, (weight, scale) in enumerate(last, 9):
        weight.data = wave(weight.shape, number, scale)
    layer.gain.data += 1
    layer.post_norm.weight.data += 1
    return layer


# The last of six positions of the authors' layers (ttt-lm-pytorch, commit cd831db), float64, with
# these weights, no gate, no convolution, and position ids of zero, which leave the rotation out.
OFFICIAL = [
    ((), 4, "1.047300177097 -0.632881815369 -0.718432816967 1.006204445612"),
    ((), 1, "0.863163125037 -0.731205213785 -0.483203514046 0.98229453285"),
    ((4,), 4, "0.96826657182 -2.813379349102 0.4936629972 2.556854919515"),
    ((4,), 1, "1.308041456061 -2.659675559279 0.074018288336 2.621213087305"),
]


@pytest.mark.parametrize("hidden, size, numbers", OFFICIAL)
def test_the_layer_is_the_authors_layer(hidden, size, numbers) -> None:
    layer = waved(hidden, size, 0.1 if hidden else 1.0)
    found = layer(wave((1, 6, 8), 0, 1.0), 1, False).output[0, -1, :4]
    expected = torch.tensor([float(number) for number in numbers.split()], dtype=torch.float64)
    # twelve digits printed; the authors' GELU slope has constants of eight digits
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9 if hidden else 1e-11)


# ---- order: remainders, causality, the open loop ------------------------------------------------


@KINDS
@pytest.mark.parametrize("steps", [1, 2])
def test_a_short_row_is_the_prefix_of_a_long_one(hidden, steps) -> None:
    layer, state = waved(hidden, 16, 0.1), normal(2, 48, 8)
    long, short = (layer(part, steps, False).output for part in (state, state[:, :37]))
    torch.testing.assert_close(short, long[:, :37], **CLOSE)


@KINDS
@pytest.mark.parametrize("steps", [1, 3])
def test_the_future_of_a_mini_batch_stays_unseen(hidden, steps) -> None:
    layer, state = waved(hidden, 16, 0.1), normal(2, 32, 8)
    changed = state.clone()
    changed[:, 21:] += 1  # inside the second mini-batch
    one, other = (layer(part, steps, True) for part in (state, changed))
    for name in ("output", "change", "loss"):
        old, new = getattr(one, name), getattr(other, name)
        assert torch.equal(old[:, :21], new[:, :21]) and not torch.equal(old[:, 21], new[:, 21])


SIZES, SMALL = Sizes(2, 2, 12), {"width": 16, "depth": 2, "heads": 2}


@pytest.mark.parametrize("method", [TTTLinear, TTTMLP])
def test_no_steps_read_the_own_token_alone(method: type[Method]) -> None:
    net = build(method, method.Config(**SMALL, mini_batch=4), SIZES, 3)
    inputs = Parity().sample(4, 12, 0, "test").to("cpu").inputs
    changed = inputs.clone()
    changed[:, :-1] = 1 - changed[:, :-1]
    for steps, same in ((0, True), (1, False)):
        one, other = (net.answer(part, steps).logits[:, -1] for part in (inputs, changed))
        assert torch.equal(one, other) == same


@KINDS
@pytest.mark.parametrize("size", [1, 4])
def test_small_inner_steps_lower_the_inner_loss(hidden, size) -> None:
    """At the own key on average; within the first mini-batch, whose start does not move."""
    layer, state = waved(hidden, size, 0.02), normal(8, size, 8)
    with torch.no_grad():
        losses = [float(layer(state, steps, True).loss.mean()) for steps in range(6)]
    assert losses == sorted(losses, reverse=True) and losses[-1] < losses[0]


def test_the_change_is_the_last_inner_step_s() -> None:
    """In the first mini-batch it is that between two budgets, and none at no steps."""
    layer, state = waved((), 4, 1.0), normal(2, 4, 8)
    layer.post_norm, layer.out = torch.nn.Identity(), torch.nn.Identity()
    old, new = layer(state, 1, False), layer(state, 2, False)
    moved = (new.output - old.output).norm(dim=-1) / old.output.norm(dim=-1)
    torch.testing.assert_close(new.change, moved, **CLOSE)
    assert not bool(layer(state, 0, False).change.any())


# ---- what the layer is without its norm, residual and bias --------------------------------------


def bare(tokens: tuple[Tensor, ...], rates: Tensor, size: int, steps: int = 1) -> Trace:
    """A linear inner model from zero under ½ ||k W − v||², all rows of a mini-batch alike."""
    start = (torch.zeros(2, 2, SIZE, SIZE, dtype=torch.float64),)
    table = step_sizes(rates, torch.ones(size, dtype=torch.float64))
    return scan(start, *tokens, table, torch.sub, steps)


def unit_keys(length: int) -> tuple[Tensor, Tensor, Tensor]:
    query, key, value = sequence(length, bias=False)
    return query, F.normalize(key, dim=-1), value


def test_one_mini_batch_from_zero_is_causal_linear_attention() -> None:
    tokens = sequence(32, bias=False)
    query, key, value = tokens
    found = bare(tokens, torch.ones(2, 2, 32, dtype=torch.float64), 32).after
    torch.testing.assert_close(found, (query @ key.mT).tril() @ value, **CLOSE)


def test_mini_batches_of_one_are_the_delta_rule() -> None:
    """β ∈ [0, 2] is the step size: recurrent, and by triangular systems."""
    tokens, beta = unit_keys(40), 2 * uniform(2, 2, 40)
    found = bare(tokens, beta, 1).after
    torch.testing.assert_close(found, delta_recurrence(*tokens, beta), **CLOSE)
    torch.testing.assert_close(found, delta_chunked(*tokens, beta, chunk=16), **CLOSE)


def test_larger_mini_batches_are_not_the_delta_rule() -> None:
    """They add reflections where the rule multiplies them, and so may grow without bound."""
    tokens, beta = unit_keys(40), 2 * uniform(2, 2, 40)
    found, rule = bare(tokens, beta, 4).after, delta_recurrence(*tokens, beta)
    assert float((found - rule).abs().max()) > 1


def test_more_steps_on_one_position_are_one_longer_step() -> None:
    """K corrections of a unit key by β leave (1 − β)^K of its error."""
    tokens, beta = unit_keys(40), uniform(2, 2, 40)
    for steps in (2, 5):
        found = bare(tokens, beta, 1, steps).after
        expected = delta_recurrence(*tokens, 1 - (1 - beta) ** steps)
        torch.testing.assert_close(found, expected, **CLOSE)


def test_many_steps_on_a_mini_batch_solve_its_least_squares() -> None:
    """As many sources as channels at the last position: gradient descent ends where all fit."""
    query, key, value = sequence(SIZE, bias=False)
    key = torch.linalg.qr(key)[0]  # orthonormal keys: descent at rate β contracts by 1 − β
    rates = torch.full((2, 2, SIZE), 0.9, dtype=torch.float64)
    found = bare((query, key, value), rates, SIZE, steps=30)
    torch.testing.assert_close(found.weights[0], torch.linalg.solve(key, value), **CLOSE)


# ---- options ------------------------------------------------------------------------------------


def test_step_sizes_start_at_half_the_rate_over_the_place() -> None:
    layer = TTTLayer(TTTConfig(width=8, heads=2, mini_batch=4, rate=0.8), ()).double()
    layer.gate.data.zero_()
    (table,) = step_sizes(layer.rates(normal(1, 4, 8)), layer.shares())
    expected = 0.1 / torch.arange(1, 5).double()[:, None] * torch.ones(4, 4).tril()  # 0.8 / d / 2
    torch.testing.assert_close(table[0, 0], expected, **CLOSE)


@pytest.mark.parametrize("method", [TTTLinear, TTTMLP])
@pytest.mark.parametrize(
    "options, told",
    [
        ({"mini_batch": 0}, "mini_batch ≥ 1, got 0"),
        ({"iterations": 0}, "iterations ≥ 1, got 0"),
        ({"heads": 3}, "divisible by heads, got 64 and 3"),
        ({"start": 0.0}, "start > 0, got 0.0"),
        ({"rate": -1.0}, "rate > 0, got -1.0"),
        ({"positions": "rotary"}, "no positions 'rotary'. Known: sinusoidal, none"),
    ],
)
def test_options_that_cannot_work_are_refused(method: type[Method], options, told) -> None:
    with pytest.raises(ValueError, match=told):
        method.Config(**options)
