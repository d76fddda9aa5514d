"""Rows of a task that a person can check: `closedloop show TASK --stratum axis=NAME`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..tasks.task import Batch, Split, Task
from .errors import Misuse, unknown

SEARCHED = 64
"""Rows that are drawn for every row that is shown, when strata are asked for."""


def shown_rows(
    task: Task, rows: int, length: int, seed: int, split: Split, strata: Sequence[str]
) -> Batch:
    """The first rows of a split that lie in the asked strata, or have a position there.

    Raises:
        Misuse: an axis or a stratum that the rows do not have, or a size that the task refuses.
    """
    try:
        batch = task.sample(rows * (SEARCHED if strata else 1), length, seed, split)
    except ValueError as error:
        raise Misuse(f"task {task.name}: {error}") from error
    inside = torch.ones(len(batch), dtype=torch.bool)
    for asked in strata:
        inside &= in_stratum(task, batch, asked)
    places = inside.nonzero().flatten()[:rows]
    if not len(places):
        raise Misuse(f"no row of {len(batch)} lies in {' and '.join(strata)} together")
    return batch.rows(places)


def in_stratum(task: Task, batch: Batch, asked: str) -> Tensor:
    """Which rows [B] an `axis=stratum` picks; the stratum by its number or its name."""
    axis, equals, wanted = asked.partition("=")
    if not equals:
        raise Misuse(f"expected --stratum axis=stratum, got {asked!r}")
    if axis not in batch.strata:
        raise unknown(f"stratum axis of {task.name}", axis, batch.strata)
    column = batch.strata[axis]
    names = {task.stratum_name(axis, s): s for s in sorted(set(column.flatten().tolist()))}
    found = {**names, **{str(number): number for number in names.values()}}
    if wanted not in found:
        known = ", ".join(f"{number} ({name})" for name, number in names.items())
        raise Misuse(f"no stratum {wanted!r} on axis {axis} of {task.name}. Known: {known}")
    hit = column == found[wanted]
    return hit if hit.dim() == 1 else (hit & batch.mask).any(1)


def row_text(task: Task, batch: Batch, row: int) -> str:
    """A row as the task shows it, with the names of its strata."""
    lines = [task.show(batch, row)]
    for axis, names in row_strata(task, batch, row).items():
        lines.append(f"{axis}: {', '.join(names)}")
    return "\n".join(f"  {line}" for text in lines for line in text.splitlines())


def row_strata(task: Task, batch: Batch, row: int) -> Mapping[str, list[str]]:
    """The strata that a row, or a scored position of it, lies in."""
    found = {}
    for axis, column in batch.strata.items():
        values = column[row] if column.dim() == 1 else column[row][batch.mask[row]]
        numbers = sorted({int(value) for value in values.flatten()})
        found[axis] = [task.stratum_name(axis, number) for number in numbers]
    return found
