"""One small step of every method on every task: forms fit, losses and answers are finite."""

import pytest
import torch

from closedloop.bench.registry import Registry
from closedloop.methods import METHODS
from closedloop.methods.method import Progress, Sizes, build
from closedloop.tasks import TASKS

SMALL = {"width": 8, "depth": 1, "heads": 1, "iterations": 2}
ROWS = 4


@pytest.mark.parametrize("task_name", TASKS)
@pytest.mark.parametrize("method_name", METHODS)
def test_a_method_learns_from_and_answers_a_task(method_name: str, task_name: str) -> None:
    method, task = Registry().method(method_name), Registry().task(task_name)()
    asked = task.form(method.causal)
    assert asked is not None, "every task of ours has a form for every method"
    length = asked.lengths[0]
    batch = asked.sample(ROWS, length, 0, "train").to("cpu")
    known = method.Config.__dataclass_fields__
    config = method.Config(**{key: value for key, value in SMALL.items() if key in known})
    sizes = Sizes(asked.vocab, asked.classes, asked.positions(length))
    model = build(method, config, sizes, 0)
    loss = model.loss(batch, Progress(0, 2, 0)).total
    loss.backward()
    assert bool(loss.isfinite())
    with torch.no_grad():
        logits = model.eval().answer(batch.inputs, model.trained_iterations).logits
    assert logits.shape == (*batch.inputs.shape, asked.classes) and bool(logits.isfinite().all())
