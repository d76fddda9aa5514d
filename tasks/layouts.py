"""Rows whose answers need the whole of them, for methods that read from left to right.

In place, an answer stands on the cell that it is about, and needs cells after it. Copied, the row
is `[x, SEP, x]`: the board first, then its cells once more, each answered where it stands. The
inputs, answers and strata are the same; only the number of positions differs.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .task import Batch

LAYOUTS = ("place", "copy")


def copied(batch: Batch, separator: int) -> Batch:
    """A batch [B, L] in place as [x, SEP, x], [B, 2L + 1], answered on the second x."""
    between = torch.full_like(batch.inputs[:, :1], separator)
    return Batch(
        torch.cat([batch.inputs, between, batch.inputs], 1),
        shifted(batch.targets),
        shifted(batch.mask),
        {a: shifted(c) if c.dim() == 2 else c for a, c in batch.strata.items()},
        batch.extra,
    )


def shifted(column: Tensor) -> Tensor:
    """A column [B, L] at the second x of [B, 2L + 1]; zeros (False) before it."""
    empty = torch.zeros_like(column)
    return torch.cat([empty, empty[:, :1], column], 1)


def second(column: Tensor) -> Tensor:
    """The part [B, L] of a column [B, 2L + 1] that belongs to the second x."""
    return column[:, column.shape[1] // 2 + 1 :]


def first(column: Tensor) -> Tensor:
    """The part [B, L] of a column [B, 2L + 1] that belongs to the first x."""
    return column[:, : column.shape[1] // 2]


def asked_after(symbols: Tensor, separator: int) -> tuple[Tensor, Tensor, Tensor]:
    """Symbols [R, L] as [x, SEP, L × ANS], ANS = SEP + 1: inputs, mask and the slots' numbers.

    The j-th ANS is slot j, from 0; before the slots the numbers are negative.
    """
    rows, length = symbols.shape
    inputs = torch.full((rows, 2 * length + 1), separator + 1, dtype=symbols.dtype)
    inputs[:, :length] = symbols
    inputs[:, length] = separator
    slots = torch.arange(2 * length + 1) - length - 1
    return inputs, (slots >= 0).expand(inputs.shape).clone(), slots.expand(inputs.shape)
