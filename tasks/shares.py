"""Which split a board belongs to, by a hash of the board itself.

Boards of small sizes are few, and any two splits would draw the same ones: of the 288 grids of 4×4
sudoku, say. So the board tells its split: an eighth of all boards are for tests, an eighth for
validation, the rest for training, under every seed; who draws a board of another split draws again.
The hash is Σ w_i x_i mod 2³¹ − 1 with fixed random weights w, of which the upper three bits count;
one board has the same hash in plain Python as in a tensor.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from operator import mul

import torch
from torch import Tensor

from .counter import key_of, words

PRIME = 2**31 - 1
PARTS = 8  # the first is for tests, the second for validation


@functools.lru_cache(maxsize=64)
def weights(length: int) -> tuple[int, ...]:
    """The weight of every cell, from 0 to 2³¹ − 1."""
    (drawn,) = words(key_of("shares"), torch.zeros(1, dtype=torch.int64), length) & PRIME
    return tuple(drawn.tolist())


def split_of(board: Sequence[int]) -> str:
    """The split of a board of small ids."""
    part = sum(map(mul, board, weights(len(board)))) % PRIME * PARTS // PRIME
    return ("test", "validation")[part] if part < 2 else "train"


def in_split(boards: Tensor, split: str) -> Tensor:
    """Whether boards [R, T] are of the split, bool [R]."""
    drawn = torch.tensor(weights(boards.shape[1]), device=boards.device)
    part = (boards * drawn).sum(1) % PRIME * PARTS // PRIME
    return {"test": part == 0, "validation": part == 1, "train": part > 1}[split]
