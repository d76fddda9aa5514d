"""The promises that every method keeps, as tests; `contracts.py` runs them.

Longer than our files are, since it is read as one list.
"""

from __future__ import annotations

import copy
from dataclasses import fields
from typing import Any

import torch

from closedloop.bench.registry import Registry
from closedloop.methods.method import Method, Progress, Sizes, Step, build
from closedloop.tasks.task import Batch, Task

SMALL = {"width": 16, "depth": 2, "heads": 2}
LENGTH, ROWS, UPDATES = 12, 6, 160
SEED = 7
PROGRESS = Progress(3, 10, SEED)


class Case:
    """A method under one of its example options, at a small size."""

    def __init__(self, registry: Registry, name: str, number: int) -> None:
        self.method, self.name, self.number = registry.method(name), name, number
        self.task: Task = registry.task("parity")()

    def __str__(self) -> str:
        """`eqt` or `eqt-2`: the name and the example's number."""
        return self.name if self.number == 0 else f"{self.name}-{self.number}"

    def config(self) -> Any:
        """The example's options, at the small sizes where the method has such fields."""
        known = {field.name for field in fields(self.method.Config)}
        small = {key: value for key, value in SMALL.items() if key in known}
        return self.method.Config(**{**small, **self.method.examples[self.number]})

    def build(self, seed: int = SEED, length: int = LENGTH) -> Method:
        """A fresh model."""
        sizes = Sizes(self.task.vocab, self.task.classes, length)
        return build(self.method, self.config(), sizes, seed)

    def batch(self, rows: int = ROWS, length: int = LENGTH) -> Batch:
        """Rows of the task."""
        return self.task.sample(rows, length, SEED, "train").to("cpu")

    def budgets(self, model: Method) -> list[int]:
        """0, 1 and four times the trained iterations; 0 for an open loop."""
        trained = model.trained_iterations
        return [0] if self.method.iterates == "nothing" else sorted({0, 1, 4 * max(trained, 1)})


def answer(model: Method, inputs: torch.Tensor, iterations: int) -> Step:
    """An answer in evaluation mode without gradients."""
    model.eval()
    with torch.no_grad():
        return model.answer(inputs, iterations)


def trained(case: Case, steps: int = 3) -> Method:
    """A model after a few updates, so that nothing rests on symmetric initial weights."""
    model, batch = case.build(), case.batch(16)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for step in range(steps):
        optimizer.zero_grad()
        model.loss(batch, Progress(step, steps, SEED)).total.backward()
        optimizer.step()
    return model


def test_the_past_answers_do_not_see_the_future_if_causal(case: Case) -> None:
    """Changing inputs from position t on moves no refined answer before t, to the last bit.

    A method that declares itself non-causal is caught at one budget at least.
    """
    model, inputs = trained(case), case.batch().inputs
    changed, half = inputs.clone(), LENGTH // 2
    changed[:, half:] = (changed[:, half:] + 1) % case.task.vocab
    leaks = []
    for iterations in case.budgets(model):
        before = answer(model, inputs, iterations).logits[:, :half]
        after = answer(model, changed, iterations).logits[:, :half]
        leaks += [] if torch.equal(before, after) else [iterations]
    assert bool(leaks) != case.method.causal, f"the future is seen at budgets {leaks}"


def test_a_row_does_not_see_its_batch_mates(case: Case) -> None:
    """Other mates leave a row's answer as it is; another batch size moves it by rounding only."""
    model, inputs = trained(case), case.batch().inputs
    mates = torch.cat([inputs[:1], 1 - inputs[1:].clamp_max(1)])
    twin = copy.deepcopy(model).double()
    seen = []
    for iterations in case.budgets(model):
        row = answer(model, inputs, iterations).logits[:1]
        same = torch.equal(row, answer(model, mates, iterations).logits[:1])
        seen += [] if same else [iterations]
        if case.method.row_independent:
            many = answer(twin, inputs, iterations).logits[:1]
            alone = answer(twin, inputs[:1], iterations).logits
            torch.testing.assert_close(many, alone, rtol=1e-9, atol=1e-9)  # float64 rounding
    assert bool(seen) != case.method.row_independent, f"batch mates are seen at budgets {seen}"


def test_what_is_trained_is_what_answers(case: Case) -> None:
    """An answer that can be differentiated is the one without gradients: no slope sees more."""
    model, inputs = trained(case).double().eval(), case.batch().inputs
    iterations = model.trained_iterations
    watched = model.answer(inputs, iterations).logits
    plain = answer(model, inputs, iterations).logits
    torch.testing.assert_close(watched.detach(), plain, rtol=1e-9, atol=1e-9)  # float64 rounding


def test_an_open_loop_is_where_every_deliberation_starts(case: Case) -> None:
    """The first step is the answer at zero iterations, whatever the budget."""
    model, inputs = trained(case).eval(), case.batch().inputs
    with torch.no_grad():
        start = model.answer(inputs, 0).logits
        for iterations in case.budgets(model):
            first = next(iter(model.deliberate(inputs, iterations)))
            assert torch.equal(first.logits, start)


def test_deliberation_yields_every_iteration_and_ends_at_the_answer(case: Case) -> None:
    """iterations + 1 steps (one for an open loop), [B, T] each, the last one the answer's."""
    model, inputs = trained(case).eval(), case.batch().inputs
    shape = (*inputs.shape, case.task.classes)
    for iterations in case.budgets(model):
        with torch.no_grad():
            steps = list(model.deliberate(inputs, iterations))
            last = model.answer(inputs, iterations)
        assert len(steps) == iterations + 1
        assert all(step.logits.shape == shape for step in steps)
        assert all(step.change.shape == inputs.shape for step in steps)
        assert all(step.energy is None or step.energy.shape == inputs.shape for step in steps)
        assert torch.equal(steps[-1].logits, last.logits)
        assert torch.equal(steps[-1].change, last.change)


def test_an_anytime_state_does_not_depend_on_the_budget(case: Case) -> None:
    """The step after k iterations is the answer at budget k, if the method says so."""
    model, inputs = trained(case).eval(), case.batch().inputs
    budgets = case.budgets(model)
    with torch.no_grad():
        steps = list(model.deliberate(inputs, budgets[-1]))
        same = all(torch.equal(steps[k].logits, model.answer(inputs, k).logits) for k in budgets)
    assert same or not case.method.anytime


def test_every_parameter_gets_a_gradient(case: Case) -> None:
    """No weight is dead under the loss."""
    model = trained(case)
    model.zero_grad(set_to_none=True)
    model.loss(case.batch(16), PROGRESS).total.backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None and bool((weight.grad != 0).any()), name


def test_same_seed_same_result_bit_for_bit(case: Case) -> None:
    """Two runs of a few updates end in the same weights; another seed starts elsewhere."""
    first, second = trained(case).state_dict(), trained(case).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    one, other = case.build(1).state_dict(), case.build(2).state_dict()
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_answers_repeat_if_deterministic(case: Case) -> None:
    """Same weights and inputs, same answer, to the last bit."""
    model, inputs = trained(case), case.batch().inputs
    for iterations in case.budgets(model):
        pair = [answer(model, inputs, iterations).logits for _ in range(2)]
        assert torch.equal(*pair) or not case.method.deterministic


def test_a_state_dict_carries_the_whole_model(case: Case) -> None:
    """A fresh model with the weights loaded answers as the old one does."""
    model, fresh, inputs = trained(case), case.build(SEED + 1), case.batch().inputs
    fresh.load_state_dict(model.state_dict())
    for iterations in case.budgets(model):
        expected = answer(model, inputs, iterations).logits
        assert torch.equal(answer(fresh, inputs, iterations).logits, expected)


def test_finite_far_beyond_the_trained_iterations(case: Case) -> None:
    """Four times the trained iterations end in finite logits, changes and energies."""
    model, inputs = trained(case).eval(), case.batch().inputs
    with torch.no_grad():
        for step in model.deliberate(inputs, case.budgets(model)[-1]):
            assert step.logits.isfinite().all() and step.change.isfinite().all()
            assert step.energy is None or bool(step.energy.isfinite().all())


def test_the_loss_falls_on_a_small_batch(case: Case) -> None:
    """On sixteen rows the cross-entropy comes under nine tenths of a coin's.

    The rate falls to zero, as in the arena: at a constant one, where a run stands when it is
    stopped is chance, and a number of threads decides.
    """
    model, batch = case.build(), case.batch(16)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, UPDATES)
    for step in range(UPDATES):
        optimizer.zero_grad()
        model.loss(batch, Progress(step, UPDATES, SEED)).total.backward()
        optimizer.step()
        falling.step()
    logits = answer(model, batch.inputs, model.trained_iterations).logits
    nats = torch.nn.functional.cross_entropy(logits[batch.mask], batch.targets[batch.mask])
    coin = torch.tensor(float(case.task.classes)).log()
    assert float(nats) < 0.9 * float(coin)


def test_the_global_generator_is_left_alone(case: Case) -> None:
    """Building, training and answering neither read nor move torch's global generator."""
    torch.manual_seed(0)
    before = torch.get_rng_state()
    weights = trained(case).state_dict()
    model = case.build()
    answer(model, case.batch().inputs, case.budgets(model)[-1])
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    other = trained(case).state_dict()
    assert all(torch.equal(weights[name], other[name]) for name in weights)


def test_answering_leaves_no_gradients_behind(case: Case) -> None:
    """With gradients off and on, no parameter's .grad appears and no graph is needed."""
    model, inputs = case.build().eval(), case.batch().inputs
    budget = case.budgets(model)[-1]
    with torch.no_grad():
        assert not model.answer(inputs, budget).logits.requires_grad
    model.answer(inputs, budget)
    assert all(weight.grad is None for weight in model.parameters())


def test_answers_do_not_depend_on_training_mode_or_state(case: Case) -> None:
    """Answering changes no buffer."""
    model, inputs = trained(case), case.batch().inputs
    before = {name: value.clone() for name, value in model.state_dict().items()}
    answer(model, inputs, case.budgets(model)[-1])
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
