"""Score what a method's own deliberation is told against: its other courses, on the same rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from ..methods.method import Method, Step
from ..tasks.task import Batch, Task
from .evaluate import Observations, Tally, observe
from .train import Watch

COURSE_ROWS = 256
"""Test rows on which other courses are run."""
COURSE_METRICS = ("token", "sequence", "prefix", "nats", "gained", "lost", "change")
"""What is kept of them."""


def compare_courses(
    model: Method,
    task: Task,
    batch: Batch,
    place: tuple[str, int],
    budgets: Sequence[int],
    size: int,
    tally: Tally,
    watch: Watch,
) -> None:
    """Score the method's other courses (Method.courses) as splits `test@NAME`, no strata.

    On the first COURSE_ROWS rows: every course starts at K = 0, which is its own baseline.
    """
    batch = batch.rows(slice(COURSE_ROWS))
    device, (split, length) = next(model.parameters()).device, place
    parts = range(0, len(batch), size)
    for number, start in enumerate(parts, 1):
        part = batch.rows(slice(start, start + size)).to(device)
        axes = {"all": torch.zeros(len(part), dtype=torch.int64, device=device)}
        with torch.no_grad():
            for name, steps in model.courses(part, max(budgets)).items():
                course = (f"{split}@{name}", length)
                for taken, seen in followed(steps, task, part, budgets):
                    kept = {metric: seen[metric] for metric in COURSE_METRICS}
                    tally.add((*course, taken), kept, axes)
        watch("evaluate courses", number, len(parts), float("nan"))


def followed(
    steps: Iterator[Step], task: Task, part: Batch, budgets: Sequence[int]
) -> Iterator[tuple[int, Observations]]:
    """What is seen of a course at the wanted budgets."""
    first = None
    for taken, step in enumerate(steps):
        first = step.logits.argmax(-1) if first is None else first
        if taken in budgets:
            used = torch.full_like(step.change, taken)
            yield taken, observe(step, part, task, first, used)
