"""TRM: the recursion as printed, what carries a gradient, and the average that answers."""

import pytest
import torch
from torch import Tensor, nn

from closedloop.methods.layers.average import Average
from closedloop.methods.method import Progress, Sizes, build, cross_entropy
from closedloop.methods.trm import TRM
from closedloop.tasks.parity import Parity
from closedloop.tasks.task import Batch

SIZES, SMALL = Sizes(2, 2, 10), {"width": 16, "depth": 2, "heads": 2}
COUNTS = {"inner": 3, "cycles": 2, "iterations": 2}


def model(seed: int = 3, **options) -> TRM:
    found = build(TRM, TRM.Config(**{**SMALL, **COUNTS, **options}), SIZES, seed)
    assert isinstance(found, TRM)
    return found.double()


@pytest.fixture
def batch() -> Batch:
    return Parity().sample(4, 10, 0, "train").to("cpu")


def written_out(net: TRM, batch: Batch) -> tuple[list[Tensor], Tensor]:
    """Logits after every step and the loss, the last n + 1 evaluations alone with a gradient."""
    embedded = net.trunk.embed(batch.inputs)
    answer = net.first_answer.expand_as(embedded)
    latent = net.first_latent.expand_as(embedded)
    logits = []
    for _ in range(2):
        for cycle in range(2):
            answer, latent = answer.detach(), latent.detach()
            with torch.set_grad_enabled(cycle == 1):
                for number in range(3):
                    latent = net.net(latent + answer + net.trunk.embed(batch.inputs))
                    if net.config.gradient == "step" and number < 2:
                        latent = latent.detach()
                answer = net.net(answer + latent)
        logits.append(net.trunk.read(answer))
    return logits, torch.stack([cross_entropy(found, batch) for found in logits]).mean()


@pytest.mark.parametrize("gradient", ["cycle", "step"])
def test_the_recursion_and_its_gradient_are_those_written_out(batch, gradient) -> None:
    net = model(gradient=gradient, average=0.0)
    logits, loss = written_out(net, batch)
    with torch.no_grad():
        steps = list(net.deliberate(batch.inputs, 2))
    for step, expected in zip(steps[1:], logits, strict=True):
        torch.testing.assert_close(step.logits, expected, rtol=0, atol=1e-12)  # rounding
    weights = list(net.parameters())
    found = torch.autograd.grad(net.loss(batch, Progress(0, 1, 0)).total, weights)
    for one, other in zip(found, torch.autograd.grad(loss, weights), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)  # rounding


def test_the_two_gradients_differ(batch) -> None:
    """They share the loss; only what it is differentiated through differs."""
    losses, gradients = [], []
    for kind in ("cycle", "step"):
        net = model(gradient=kind)
        losses.append(net.loss(batch, Progress(0, 1, 0)).total)
        gradients.append(torch.autograd.grad(losses[-1], net.trunk.blocks[0].feed.up.weight)[0])
    assert torch.equal(*losses)
    assert float((gradients[0] - gradients[1]).norm()) > 0.01 * float(gradients[0].norm())


def test_states_keep_a_mean_square_of_one(batch) -> None:
    net = model().eval()
    carry = net.start(batch.inputs)
    with torch.no_grad():
        carry, _ = net(batch.inputs, carry, 50)
    for state in carry:
        squares = state.square().mean(-1)
        torch.testing.assert_close(squares, torch.ones_like(squares), rtol=0, atol=1e-9)  # rounding


def test_no_iterations_see_no_input(batch) -> None:
    logits = model().eval().answer(batch.inputs, 0).logits
    assert torch.equal(logits, logits[:1, :1].expand_as(logits))


def moved(net: TRM, batch: Batch, updates: int) -> list[Tensor]:
    """Train by large steps of plain descent; the head's weights as they came into each update."""
    came = []
    for step in range(updates):
        came.append(net.trunk.head.weight.detach().clone())
        weights = list(net.parameters())
        loss = net.loss(batch, Progress(step, updates, 0)).total
        with torch.no_grad():
            torch._foreach_add_(weights, torch.autograd.grad(loss, weights), alpha=-1.0)
    return came


def test_the_average_weighs_the_weights_that_came_in(batch) -> None:
    net = model(average=0.25)
    expected = net.trunk.head.weight.detach().clone()
    for update, weight in enumerate(moved(net, batch, 6)):
        decay = min(0.25, (1 + update) / (10 + update))
        expected = decay * expected + (1 - decay) * weight
    found = net.average.weights(net)["trunk.head.weight"]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)  # float32 decay


def test_evaluation_answers_by_the_average_and_training_by_the_weights(batch) -> None:
    net, twin = model(), model(average=0.0)
    moved(net, batch, 4)
    twin.load_state_dict({k: v for k, v in net.state_dict().items() if "average" not in k})
    with torch.no_grad():
        raw = net.train().answer(batch.inputs, 2).logits
        averaged = net.eval().answer(batch.inputs, 2).logits
        assert torch.equal(raw, twin.eval().answer(batch.inputs, 2).logits)
        twin.load_state_dict({**twin.state_dict(), **net.average.weights(net)})
        assert torch.equal(averaged, twin.answer(batch.inputs, 2).logits)
    assert not torch.equal(raw, averaged)


def test_evaluation_leaves_the_average_and_the_weights_as_they_are(batch) -> None:
    net = model().eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    net.loss(batch, Progress(0, 1, 0))
    net.answer(batch.inputs, 2)
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert all(isinstance(weight, nn.Parameter) for weight in net.trunk.parameters())


def test_a_constant_is_its_own_average() -> None:
    layer = nn.Linear(3, 2)
    average = Average(layer, 0.9)
    for _ in range(5):
        average.update(layer)
    assert int(average.updates) == 5
    assert all(torch.equal(average.weights(layer)[k], v) for k, v in layer.named_parameters())
    assert not list(average.parameters())


@pytest.mark.parametrize("decay", [0.0, 1.0])
def test_a_decay_that_averages_nothing_is_refused(decay) -> None:
    with pytest.raises(ValueError, match="decay between 0 and 1"):
        Average(nn.Linear(1, 1), decay)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"inner": 0}, "inner of at least 1, got 0"),
        ({"cycles": 0}, "cycles of at least 1, got 0"),
        ({"iterations": 0}, "iterations of at least 1, got 0"),
        ({"gradient": "full"}, "no gradient 'full'. Known: cycle, step"),
        ({"average": 1.0}, "average in"),
    ],
)
def test_options_that_cannot_work_are_refused(options, told) -> None:
    with pytest.raises(ValueError, match=told):
        TRM.Config(**options)
