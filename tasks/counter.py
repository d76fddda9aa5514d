"""Counter-based random words: word (row, column) of a key, whatever was drawn before.

The mixer is the finaliser of SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom
number generators", OOPSLA, doi:10.1145/2660193.2660195). A word depends on its key, row and column
alone, so that row 5 by itself equals row 5 of a million, on any device, in any order.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

GOLDEN = -7046029254386353131  # 0x9E3779B97F4A7C15 as int64
MIX_1 = -4658895280553007687  # 0xBF58476D1CE4E5B9
MIX_2 = -7723592293110705685  # 0x94D049BB133111EB
ROW_STEP = -2643881736870682267  # 0xDB4F0B9175AE2165: another odd constant, so rows and columns mix


def key_of(*parts: object) -> int:
    """A signed 64-bit key from the printed form of its parts, the same in every process."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "little", signed=True)


def shift_right(x: Tensor, bits: int) -> Tensor:
    """Logical right shift of int64 words, since torch's own keeps the sign."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def mix(x: Tensor) -> Tensor:
    """SplitMix64's finaliser on int64 words, wrapping around."""
    x = (x ^ shift_right(x, 30)) * MIX_1
    x = (x ^ shift_right(x, 27)) * MIX_2
    return x ^ shift_right(x, 31)


def words(key: int, rows: Tensor, columns: int) -> Tensor:
    """Random int64 words [len(rows), columns] of the row numbers `rows` under `key`."""
    steps = torch.arange(1, columns + 1, dtype=torch.int64, device=rows.device)
    row_keys = mix(rows * ROW_STEP + key)
    return mix(row_keys[:, None] + steps * GOLDEN)


def uniform(words: Tensor) -> Tensor:
    """Uniform float64 in [0, 1) from the upper 53 bits of int64 words."""
    return shift_right(words, 11).to(torch.float64) * 2.0**-53
