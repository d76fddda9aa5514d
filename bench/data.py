"""The rows of a trial: the task in the form that its method may be asked, and its splits."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..methods.method import Method
from ..tasks.pool import heard_by
from ..tasks.task import Batch, Task
from .evaluate import seen_in_training
from .rules import rule_metrics
from .seeds import FROZEN, data_seed
from .train import Watch
from .trial import Trial


class Unsupported(Exception):
    """The method cannot be asked this task in any form."""


@dataclass(frozen=True)
class Data:
    """A trial's rows; train has a part for every training length, tests one for every test length.

    form: the options in which the task that is asked differs from the trial's.
    """

    task: Task
    form: Mapping[str, Any]
    train: Sequence[Batch]
    validation: Batch
    tests: Mapping[int, Batch]
    levels: Mapping[int, Mapping[str, float]]
    seconds: float

    def trained(self, test: Batch) -> Batch | None:
        """The training rows of a test set's length, if there are any."""
        width = test.inputs.shape[1]
        return next((part for part in self.train if part.inputs.shape[1] == width), None)


def form_of(task: Task, method: type[Method], trial: Trial) -> Task:
    """The task as this method may be asked it.

    Raises:
        Unsupported: there is no such form.
    """
    form = task.form(method.causal)
    if form is not None:
        return form
    if method.causal:
        raise Unsupported(f"{trial.row} is causal, and {trial.question} needs inputs to come")
    raise Unsupported(f"{trial.row} reads ahead, and {trial.question} shows its answers there")


def form_options(asked: Task, task: Task) -> dict[str, Any]:
    """The options in which a form differs from the task."""
    plain = task.options()
    return {name: value for name, value in asked.options().items() if plain.get(name) != value}


def make_data(task: Task, method: type[Method], trial: Trial, watch: Watch) -> Data:
    """Draw every row of a trial; the watch hears of slow ones.

    Raises:
        Unsupported: the method cannot be asked the task.
    """
    asked, started = form_of(task, method, trial), time.monotonic()
    seed, share = data_seed(trial), trial.train["rows"] // len(trial.trained_on)

    def tell(name: str, ready: int, wanted: int) -> None:
        watch(f"data ({name})", ready, wanted, math.nan)

    with heard_by(tell):
        train = [asked.sample(share, length, seed, "train") for length in trial.trained_on]
        rows = trial.train["validation_rows"]
        validation = asked.sample(rows, trial.length, FROZEN, "validation")
        rows = trial.evaluate["rows"]
        tests = {n: asked.sample(rows, n, FROZEN, "test") for n in trial.test_lengths}
        levels = {n: levels_of(asked, n) for n in trial.test_lengths}
    form = form_options(asked, task)
    return Data(asked, form, train, validation, tests, levels, time.monotonic() - started)


def levels_of(task: Task, length: int) -> dict[str, float]:
    """Chance, and the shortcut where it has a closed form: else the rules, as run, tell it."""
    levels = {"chance": task.chance(length)}
    if type(task).shortcut is not Task.shortcut:
        levels["shortcut"] = task.shortcut(length)
    return levels


def marked(data: Data, length: int) -> tuple[Batch, dict[str, Any]]:
    """A test set with its stratum `seen` (stands in training too), and what a record says of it."""
    test, overlap = data.tests[length], 0.0
    strata, train = dict(test.strata), data.trained(test)
    if train is not None:
        strata["seen"] = seen_in_training(test.inputs, train.inputs)
        overlap = strata["seen"].float().mean().item()
    rows = Batch(test.inputs, test.targets, test.mask, strata, test.extra)
    rules = rule_metrics(data.task, test, data.train[-1])
    told = {"sha256": batch_hash(test), "overlap": overlap, "rows": len(test)}
    return rows, {
        **told,
        "form": dict(data.form),
        "rules": rules,
        "levels": dict(data.levels[length]),
    }


def batch_hash(batch: Batch) -> str:
    """SHA-256 of inputs, targets and mask, as int64 and bytes, row by row."""
    digest = hashlib.sha256()
    for tensor in (batch.inputs.long(), batch.targets.long(), batch.mask):
        digest.update(bytes_of(tensor))
    return digest.hexdigest()


def bytes_of(tensor: Tensor) -> bytes:
    """The values of a tensor in row-major order."""
    return tensor.contiguous().cpu().numpy().tobytes()
