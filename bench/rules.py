"""Trivial rules as baselines: the task's own, and the commonest class of the training rows."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..tasks.task import Batch, Rule, Task
from .evaluate import Tally, answered

RULE_METRICS = ("token", "sequence")


def majority(train: Batch) -> Rule:
    """The commonest class of a batch's scored tokens, everywhere."""
    commonest = int(train.targets[train.mask].long().bincount().argmax())

    def rule(inputs: Tensor) -> Tensor:
        return torch.full_like(inputs, commonest)

    return rule


def rule_metrics(task: Task, test: Batch, train: Batch) -> dict[str, list[list[Any]]]:
    """Rows [axis, stratum, metric, n, sum] of every rule's accuracies on test rows, by name.

    Metrics are the token's, the row's and the task's own; axes are `all` and the task's dials.
    """
    test = test.to("cpu")
    axes = {"all": torch.zeros(len(test), dtype=torch.int64)}
    axes |= {axis: test.strata[axis] for axis in task.dials}
    found = {}
    for name, rule in {**task.rules(), "majority": majority(train)}.items():
        tally = Tally()
        tally.add((), answered(task, test, rule(test.inputs)), axes)
        found[name] = tally.rows()
    return found
