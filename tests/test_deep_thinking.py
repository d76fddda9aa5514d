"""The deep-thinking net: its convolutions, its reach, its progressive loss, its norm."""

import pytest
import torch

from closedloop.methods.deep_thinking import DeepThinking, causal, drawn, spectral_norms
from closedloop.methods.method import Progress, Sizes, build
from closedloop.tasks.parity import Parity

SIZES = Sizes(2, 2, 12)
PROGRESS = Progress(1, 10, 0)  # draws n + k under the longest, 6


def thinker(**options) -> DeepThinking:
    options = {"width": 8, "depth": 2, "iterations": 6, **options}
    return build(DeepThinking, DeepThinking.Config(**options), SIZES, 3).double()


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture
def batch():
    return Parity().sample(5, 12, 0, "train").to("cpu")


def test_a_convolution_reads_three_positions_up_to_its_own() -> None:
    state, weight = normal(2, 4, 7), normal(5, 4, 3)
    found = causal(state, weight)
    for t in range(7):
        taps = [j for j in range(3) if t - 2 + j >= 0]
        expected = sum(state[:, :, t - 2 + j] @ weight[:, :, j].T for j in taps)
        torch.testing.assert_close(found[:, :, t], expected)


@pytest.mark.parametrize("depth", [1, 2])
def test_an_iteration_reads_two_and_four_a_pair_positions_back(depth) -> None:
    """Positive weights let everything through, so that the reach is met exactly."""
    model = thinker(depth=depth)
    for weight in model.parameters():
        weight.data.abs_()
    inputs = torch.zeros(2, 60, dtype=torch.int64)
    inputs[1, 0] = 1
    pairs = list(model.states(inputs, 3))
    for taken, (_, state) in enumerate(pairs):
        seen = (state[0] != state[1]).any(0).nonzero()
        assert seen.max().item() == 2 + taken * (2 + 4 * depth)


def test_the_read_out_reads_six_positions_back() -> None:
    model, state = thinker(), torch.zeros(2, 8, 20).double()
    for weight in model.parameters():
        weight.data.abs_()
    state[1, :, 3] = 1.0
    logits = model.read(state)
    seen = (logits[0] != logits[1]).any(-1).nonzero().flatten()
    assert seen.tolist() == list(range(3, 10))


def test_an_iteration_is_recall_and_residual_pairs(batch) -> None:
    """The equations of the docstring, with torch's own convolution cut to its causal part."""
    model = thinker(depth=1)

    def convolve(layer, state):
        return torch.nn.functional.conv1d(state, layer.weight, padding=2)[..., :12]

    onehot = torch.stack([1 - batch.inputs, batch.inputs], 1).double()
    recalled = convolve(model.recall, onehot)
    state = recalled.relu()
    first, inner, outer = model.core
    state = (convolve(first, state) + recalled).relu()
    state = (state + convolve(outer, convolve(inner, state).relu())).relu()
    [(_, found)] = list(model.states(batch.inputs, 1))[1:]
    torch.testing.assert_close(found, state)


def test_the_progressive_draw_covers_every_pair_and_no_other() -> None:
    generator = torch.Generator().manual_seed(0)
    pairs = [drawn(4, generator) for _ in range(1000)]
    expected = {(n, k) for n in range(4) for k in range(1, 4 - n + 1)}
    assert set(pairs) == expected
    share = sum(n == 3 for n, _ in pairs) / 1000
    assert share == pytest.approx(0.25, abs=0.055)  # four standard errors


def test_the_loss_mixes_the_progressive_and_the_full_one(batch) -> None:
    totals = [
        thinker(progressive=share).loss(batch, PROGRESS).total.item() for share in (0, 0.25, 1)
    ]
    assert totals[0] != totals[2]
    assert totals[1] == pytest.approx(0.75 * totals[0] + 0.25 * totals[2], rel=1e-12)


def test_the_full_loss_is_that_of_the_answer(batch) -> None:
    model = thinker(progressive=0.0)
    logits = model.answer(batch.inputs, 6).logits.flatten(0, 1)
    nats = torch.nn.functional.cross_entropy(logits, batch.targets.flatten())
    assert model.loss(batch, PROGRESS).total.item() == pytest.approx(nats.item(), rel=1e-12)


def test_free_iterations_give_no_gradient(batch) -> None:
    """The gradient after n free iterations is that of k iterations from a fixed state."""
    model = thinker()
    weight = model.core[0].weight
    found = torch.autograd.grad(model.nats_after(batch, 3, 2), weight)[0]
    recalled, kernels = model.recalled(batch.inputs), model.kernels()
    state = list(model.states(batch.inputs, 3))[-1][1].detach()
    for _ in range(2):
        state = model.advance(state, recalled, kernels)
    logits = model.read(state).flatten(0, 1)
    nats = torch.nn.functional.cross_entropy(logits, batch.targets.flatten())
    torch.testing.assert_close(found, torch.autograd.grad(nats, weight)[0])
    whole = torch.autograd.grad(model.nats_after(batch, 0, 5), weight)[0]
    assert not torch.allclose(found, whole)


def test_norms_are_the_largest_singular_values() -> None:
    kernels = normal(3, 8, 8, 3)
    expected = torch.linalg.matrix_norm(kernels.flatten(2), 2)
    torch.testing.assert_close(spectral_norms(kernels), expected)


def test_a_convolution_stretches_by_one_to_the_root_of_three_times_its_norm() -> None:
    """The bounds that the docstring states, on the whole convolution as a matrix."""
    kernels = normal(6, 4, 4, 3)
    kernels[0, :, :, 1:] = 0  # a single tap: the lower bound
    kernels[1] = kernels[1, :, :, :1]  # three equal taps: the upper one
    rows = torch.eye(4 * 100).double().view(400, 4, 100)
    stretch = [torch.linalg.matrix_norm(causal(rows, k).flatten(1), 2) for k in kernels]
    ratio = torch.stack(stretch) / spectral_norms(kernels)
    assert ratio[0].item() == pytest.approx(1.0)
    assert ratio[1].item() == pytest.approx(3**0.5, rel=1e-3)  # rows of 100 end, the circle not
    assert bool((ratio > 0.99).all()) and bool((ratio < 3**0.5).all())


def test_the_lipschitz_net_keeps_its_kernels_under_norm_one(batch) -> None:
    model = thinker(lipschitz=True)
    for weight in model.core.parameters():
        weight.data *= 50
    norms = spectral_norms(torch.stack(model.kernels()))
    torch.testing.assert_close(norms, torch.full_like(norms, 0.99))


def test_the_lipschitz_net_settles_where_the_plain_one_explodes(batch) -> None:
    changes = {}
    for lipschitz in (False, True):
        model = thinker(lipschitz=lipschitz)
        for weight in model.core.parameters():
            weight.data *= 5
        with torch.no_grad():
            state = list(model.states(batch.inputs, 40))[-1][1]
            changes[lipschitz] = float(model.answer(batch.inputs, 200).change.max())
        assert (float(state.norm()) < 1e3) == lipschitz
    assert changes[True] < 1e-6 < changes[False]


@pytest.mark.parametrize(
    "options, told",
    [
        ({"iterations": 0}, "iterations ≥ 1, got 0"),
        ({"width": 1}, "width ≥ 2, got 1"),
        ({"depth": 0}, "depth ≥ 1, got 0"),
        ({"progressive": 1.5}, r"within \[0, 1\]"),
    ],
)
def test_bad_options_are_told_in_one_line(options, told) -> None:
    with pytest.raises(ValueError, match=told):
        DeepThinking.Config(**options)
