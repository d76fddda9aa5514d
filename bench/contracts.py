"""The promises that every task and method keeps, as tests.

They run over the built-in tables in this project's own suite, and over a plug-in's entries by
`closedloop contracts --plugin FILE [--methods a,b] [--tasks a,b]`, or in a clone by
`pytest bench/contracts.py --plugin FILE`. Longer than our files are, since it is read as one list.
"""

from __future__ import annotations

import copy
import json
import random
from dataclasses import fields
from typing import Any

import pytest
import torch

from closedloop.bench.registry import Registry, load_registry
from closedloop.bench.rules import majority
from closedloop.methods.method import Method, Progress, Sizes, Step, build
from closedloop.tasks.task import SPLITS, Batch, Task, final_only, scored_share

SMALL = {"width": 16, "depth": 2, "heads": 2}
LENGTH, ROWS, UPDATES = 12, 6, 160
SEED = 7
PROGRESS = Progress(3, 10, SEED)
STRATIFIED_ROWS = 2000
LEAST = 100
"""Rows of a stratum under which nothing is said about it."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One case per method and example options; one per task."""
    option = metafunc.config.getoption
    registry = load_registry(option("plugin", default=None) or ())
    if registry.broken:
        raise pytest.UsageError("; ".join(f"{k}: {v}" for k, v in registry.broken.items()))
    if "case" in metafunc.fixturenames:
        names = option("methods", default=None) or sorted(registry.methods)
        cases = [Case(registry, n, i) for n in names for i in examples(registry, n)]
        metafunc.parametrize("case", cases, ids=str)
    if "posed" in metafunc.fixturenames:
        names = option("tasks", default=None) or sorted(registry.tasks)
        cases = [
            Posed(registry, n, i) for n in names for i in range(len(registry.task(n).examples))
        ]
        metafunc.parametrize("posed", cases, ids=str)


def examples(registry: Registry, name: str) -> range:
    """Numbers of a method's example options."""
    return range(len(registry.method(name).examples))


class Posed:
    """A task under one of its example options."""

    def __init__(self, registry: Registry, name: str, number: int) -> None:
        self.name, self.number, found = name, number, registry.task(name)
        self.task: Task = found(**found.examples[number])

    def __str__(self) -> str:
        """`dyck` or `dyck-2`: the name and the example's number."""
        return self.name if self.number == 0 else f"{self.name}-{self.number}"


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


# ---- methods ---------------------------------------------------------------------------------


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


# ---- tasks -----------------------------------------------------------------------------------


@pytest.mark.parametrize("split", SPLITS)
def test_rows_have_the_contract_s_shapes_and_ids(posed: Posed, split: Any) -> None:
    """Ids within vocab and classes; every row has a scored position; strata are small named ids."""
    task = posed.task
    for length in task.lengths:
        batch = task.sample(50, length, SEED, split)
        assert batch.inputs.shape == (50, task.positions(length))
        assert 0 <= int(batch.inputs.min()) and int(batch.inputs.max()) < task.vocab
        assert bool(batch.mask.any(1).all())
        assert 0 <= int(batch.targets.min()) and int(batch.targets.max()) < task.classes
        for axis, column in batch.strata.items():
            assert bool((column >= 0).all()), axis
            assert all(task.stratum_name(axis, s) for s in column.unique().tolist())
        assert set(task.dials) <= {a for a, column in batch.strata.items() if column.dim() == 1}


def test_a_row_depends_on_its_key_alone(posed: Posed) -> None:
    """Row i is the same in a short and in a long sample, and whatever the global generator did."""
    long = posed.task.sample(200, posed.task.lengths[0], SEED, "train")
    torch.rand(10)
    short = posed.task.sample(20, posed.task.lengths[0], SEED, "train")
    assert torch.equal(long.inputs[:20], short.inputs)
    assert torch.equal(long.targets[:20], short.targets)
    assert all(torch.equal(long.strata[axis][:20], short.strata[axis]) for axis in long.strata)
    assert all(torch.equal(long.extra[name][:20], short.extra[name]) for name in long.extra)


def test_splits_and_seeds_are_other_rows(posed: Posed) -> None:
    """No two splits or seeds share their draws."""
    splits: tuple[Any, ...] = SPLITS
    length = posed.task.lengths[1]
    parts = [posed.task.sample(64, length, s, split).inputs for split in splits for s in (0, 1)]
    for i, one in enumerate(parts):
        for other in parts[i + 1 :]:
            assert not torch.equal(one, other)


def test_the_global_generator_is_left_alone_by_sampling(posed: Posed) -> None:
    """Sampling neither reads nor moves torch's generator or Python's."""
    torch.manual_seed(0)
    before, python = torch.get_rng_state(), random.getstate()
    posed.task.sample(20, posed.task.lengths[0], SEED + 1, "train")
    assert torch.equal(torch.get_rng_state(), before) and random.getstate() == python


def test_targets_follow_from_inputs_alone(posed: Posed) -> None:
    """`label` finds every scored target again."""
    for length in posed.task.lengths:
        batch = posed.task.sample(100, length, SEED, "test")
        assert torch.equal(posed.task.label(batch.inputs)[batch.mask], batch.targets[batch.mask])


def test_a_causal_task_is_answerable_from_the_past(posed: Posed) -> None:
    """Another row's future leaves the targets up to t as they are, wherever they are scored."""
    task = posed.task
    if not task.causal:
        pytest.skip("the task says that its answers need the future")
    batch = task.sample(64, task.lengths[1], SEED, "test")
    width = batch.inputs.shape[1]
    for place in (width // 4, width // 2, 3 * width // 4):
        changed = batch.inputs.clone()
        changed[:, place:] = batch.inputs.roll(1, 0)[:, place:]
        same = task.label(changed) == task.label(batch.inputs)
        assert bool(same[:, :place][batch.mask[:, :place]].all())


def test_the_stratified_sampler_fills_its_strata_equally(posed: Posed) -> None:
    """On test rows the strata of every dial hold the same number of rows, to within a cell each."""
    task = posed.task
    if getattr(task, "sampler", "stratified") != "stratified":
        pytest.skip("a natural sampler")
    batch = task.sample(STRATIFIED_ROWS, task.lengths[1], SEED, "test")
    for axis in task.dials:
        held = batch.strata[axis].bincount()
        held = held[held > 0]
        assert int(held.max() - held.min()) <= STRATIFIED_ROWS // 50, f"{axis}: {held.tolist()}"


def test_levels_are_ordered(posed: Posed) -> None:
    """0 < chance ≤ shortcut ≤ ceiling ≤ 1."""
    for length in posed.task.lengths:
        task = posed.task
        levels = (task.chance(length), task.shortcut(length), task.ceiling, 1.0)
        assert 0 < levels[0] and list(levels) == sorted(levels)


def test_no_trivial_rule_beats_the_stated_shortcut(posed: Posed) -> None:
    """Every rule and the majority class, run on test rows, beyond four standard errors."""
    task = posed.task
    for length in task.lengths:
        batch = task.sample(STRATIFIED_ROWS, length, SEED, "test").to("cpu")
        train = task.sample(STRATIFIED_ROWS, length, SEED, "train").to("cpu")
        for name, rule in {**task.rules(), "majority": majority(train)}.items():
            share = scored_share(task, batch, rule(batch.inputs))
            slack = 4 * (0.25 / STRATIFIED_ROWS) ** 0.5
            assert share <= task.shortcut(length) + slack, f"{name} scores {share:.3f}"


def test_no_stratum_gives_its_answer_away(posed: Posed) -> None:
    """Where a stratum has a commonest last answer, some trivial rule knows it too.

    The class is chosen on training rows and scored on test rows, stratum by stratum.
    """
    task, length = posed.task, posed.task.lengths[1]
    sets = [task.sample(2 * STRATIFIED_ROWS, length, SEED, s).to("cpu") for s in ("train", "test")]
    lasts = [final_only(batch.mask) for batch in sets]
    truths = [batch.targets[last] for batch, last in zip(sets, lasts, strict=True)]
    rules = {**task.rules(), "majority": majority(sets[0])}
    guesses = [rule(sets[1].inputs)[lasts[1]] == truths[1] for rule in rules.values()]
    for axis in task.dials:
        for stratum in sets[1].strata[axis].unique().tolist():
            known = truths[0][sets[0].strata[axis] == stratum]
            inside = sets[1].strata[axis] == stratum
            if len(known) < LEAST or int(inside.sum()) < LEAST:
                continue
            given = float((truths[1][inside] == known.mode().values).double().mean())
            rule = max(float(guess[inside].double().mean()) for guess in guesses)
            level = max(rule, 1 / task.classes, task.shortcut(length))
            slack = 4 * (0.25 / int(inside.sum())) ** 0.5
            assert given <= level + slack, f"{task.stratum_name(axis, stratum)}: {given:.3f}"


def test_forms_are_fit_for_the_methods_that_they_are_for(posed: Posed) -> None:
    """The form for causal methods is causal; the one for others shows no answer ahead."""
    task, length = posed.task, posed.task.lengths[0]
    for causal in (True, False):
        form = task.form(causal)
        if form is None:
            continue
        assert form.causal if causal else not form.reveals
        assert form.form(causal) == form
        assert form.classes == task.classes
        assert len(form.sample(8, length, SEED, "test")) == 8
    assert task.form(False) is not None or task.form(True) is not None


def test_a_row_is_shown_for_people(posed: Posed) -> None:
    """`show` gives text for every row, and names for every id."""
    batch = posed.task.sample(3, posed.task.lengths[0], SEED, "test")
    assert all(posed.task.show(batch, row).strip() for row in range(3))
    assert all(posed.task.input_name(token) for token in range(posed.task.vocab))
    assert all(posed.task.answer_name(token) for token in range(posed.task.classes))


def test_options_make_the_task_again(posed: Posed) -> None:
    """`options` are plain values that the constructor takes, and every one has a name."""
    options = posed.task.options()
    assert set(options) <= set(posed.task.option_names())
    assert type(posed.task)(**json.loads(json.dumps(options))) == posed.task


def test_a_length_without_positions_is_refused(posed: Posed) -> None:
    """Lengths 0 and −1 are told in one line."""
    for length in (0, -1):
        with pytest.raises(ValueError, match="length") as caught:
            posed.task.sample(4, length, SEED, "train")
        assert "\n" not in str(caught.value)
