"""The promises that every task keeps, as tests; `contracts.py` runs them."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
import torch

from closedloop.bench.registry import Registry
from closedloop.bench.rules import majority
from closedloop.tasks.task import SPLITS, Task, final_only, scored_share

SEED = 7
STRATIFIED_ROWS = 2000
LEAST = 100
"""Rows of a stratum under which nothing is said about it."""


class Posed:
    """A task under one of its example options."""

    def __init__(self, registry: Registry, name: str, number: int) -> None:
        self.name, self.number, found = name, number, registry.task(name)
        self.task: Task = found(**found.examples[number])

    def __str__(self) -> str:
        """`dyck` or `dyck-2`: the name and the example's number."""
        return self.name if self.number == 0 else f"{self.name}-{self.number}"


@pytest.mark.parametrize("split", SPLITS)
def test_rows_have_the_contract_s_shapes_and_ids(posed: Posed, split: Any) -> None:
    """Ids within vocab and classes; every row has a scored position; strata are small named ids."""
    task = posed.task
    for length in task.lengths:
        batch = task.sample(50, length, SEED, split)
        assert batch.inputs.shape == (50, task.positions(length))
        assert 0 <= int(batch.inputs.min()) and int(batch.inputs.max()) < task.vocab
        assert bool(batch.mask.any(1).all())
        assert len(task.sample(0, length, SEED, split)) == 0
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
        until = place - task.next_token
        assert bool(same[:, :until][batch.mask[:, :until]].all())


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
