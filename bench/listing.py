"""What there is: tables of methods, tasks and presets with what they state."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ..methods.method import Method, Sizes, build
from ..tasks.task import Task
from . import costs
from .plan import base_of, method_options
from .preset import load_preset, preset_names
from .registry import Registry
from .seeds import FROZEN
from .tables import Table, engineering


def methods_table(registry: Registry, preset: str) -> Table:
    """The methods with what they declare, and their cost on parity at the preset's size."""
    chosen = load_preset(preset)
    length = max(chosen.tasks.get("parity", {"lengths": [32]})["lengths"])
    rows = []
    for name in dict.fromkeys([*registry.methods, *registry.variants, *chosen.methods]):
        base, given = base_of(name, chosen, registry)
        method = registry.method(base)
        _, options = method_options(base, given, chosen.sizes, registry)
        declared = [method.family, yes(method.causal), method.iterates, yes(method.deterministic)]
        weights, budget, flops = size_of(registry, method, options, length)
        cost = [f"{weights:,}", budget, *map(engineering, flops)]
        rows.append([name, *declared, *cost, method.source])
    columns = ["method", "family", "causal", "iterates", "deterministic", "parameters", "K"]
    columns += ["training FLOPs/token", "FLOPs/token", "source"]
    note = (
        "K: iterations in training; FLOPs/token: of an update and of an answer at that K, counted"
    )
    title = f"Methods (costs on parity at L={length}, preset {preset})"
    return Table("methods", title, pd.DataFrame(sorted(rows), columns=columns), (note,))


def size_of(
    registry: Registry, method: type[Method], options: dict[str, Any], length: int
) -> tuple[int, int, tuple[float, float]]:
    """Weights, K in training, and FLOPs per token of training and of answering, on parity."""
    task = registry.task("parity")()
    model = build(method, method.Config(**options), Sizes(task.vocab, task.classes, length), seed=0)
    batch, budget = task.sample(2, length, FROZEN, "train").to("cpu"), model.trained_iterations
    answering = costs.answering_flops(model, batch, [budget])[str(budget)]
    flops = (costs.training_flops(model, [batch]) / length, answering)
    return sum(weight.numel() for weight in model.parameters()), budget, flops


def tasks_table(registry: Registry, preset: str) -> Table:
    """The tasks with what they declare and their levels, at a small length of each."""
    rows = []
    for name in sorted(registry.tasks):
        task = registry.task(name)()
        length = task.lengths[1]
        strata = task.sample(1, length, FROZEN, "test").strata
        axes = ", ".join(f"{axis}*" if axis in task.dials else axis for axis in strata)
        levels = (task.chance(length), task.shortcut(length), task.ceiling)
        shares = [f"{100 * level:.2f}" for level in levels]
        head = [name, length, task.vocab, task.classes, causality(task), axes, task.metric]
        rows.append([*head, *shares, task.solved_by])
    columns = ["task", "L", "vocab", "classes", "causal", "axes", "metric"]
    columns += ["chance, %", "shortcut, %", "ceiling, %", "solved by"]
    note = (
        "Default options. Axes with a star: filled equally by the stratified sampler. Levels are "
        "of the metric; causal: yes, no (a causal method sees the row first, then answers), or "
        "only (answers stand later in the row; a method that reads ahead is asked the last one)"
    )
    return Table("tasks", "Tasks", pd.DataFrame(rows, columns=columns), (note,))


def causality(task: Task) -> str:
    """`yes`, `no`, or `only` where later inputs show answers."""
    return "only" if task.reveals else yes(task.causal)


def presets_table(registry: Registry, preset: str) -> Table:
    """The presets with their sizes."""
    rows = []
    for name in preset_names():
        found = load_preset(name)
        sizes = ", ".join(f"{key} {value}" for key, value in found.sizes.items())
        lengths = "; ".join(
            f"{task} {' '.join(map(str, axes['lengths']))}" for task, axes in found.tasks.items()
        )
        rows.append([name, ", ".join(found.methods), lengths, found.seeds, sizes])
    columns = ["preset", "methods", "lengths", "seeds", "sizes"]
    return Table("presets", "Presets", pd.DataFrame(rows, columns=columns))


def yes(value: bool) -> str:
    """`yes` or `no`."""
    return "yes" if value else "no"
