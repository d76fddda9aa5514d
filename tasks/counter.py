"""Counter-based random words: word (row, column) of a key, whatever was drawn before.

The mixer is the finaliser of SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom
number generators", OOPSLA, doi:10.1145/2660193.2660195). A word depends on its key, row and column
alone, so that row 5 by itself equals row 5 of a million, on any device, in any order. What is drawn
for another purpose has a key of its own, `key_of(key, "purpose")`.
"""

from __future__ import annotations

import hashlib
import random
import sys

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


def bits32(key: int, rows: Tensor, columns: int) -> Tensor:
    """Random integers in [0, 2³²), int64 [len(rows), columns]: a word gives two of them."""
    return split(words(key, rows, (columns + 1) // 2), torch.int32, columns).long() & 0xFFFFFFFF


def bits16(key: int, rows: Tensor, columns: int) -> Tensor:
    """Random integers in [0, 2¹⁶), int32 [len(rows), columns]: a word gives four of them."""
    return split(words(key, rows, (columns + 3) // 4), torch.int16, columns).int() & 0xFFFF


def split(drawn: Tensor, kind: torch.dtype, columns: int) -> Tensor:
    """Words as shorter integers, lowest first, [n, W] -> [n, columns]."""
    if sys.byteorder != "little":
        raise RuntimeError("expected a little-endian machine: words are split by their bytes")
    return drawn.contiguous().view(kind)[:, :columns]


def below(bits: Tensor, count: Tensor | int) -> Tensor:
    """Integers in [0, count) from `bits32`, exact on any device; count < 2³¹ broadcasts.

    A value's probability is off by at most 2⁻³².
    """
    return (bits * count) >> 32


def short_below(bits: Tensor, count: int) -> Tensor:
    """Integers in [0, count) from `bits16`, count ≤ 256, as uint8; twice as fast as `below`.

    A value's probability is off by at most 2⁻¹⁶.
    """
    return ((bits * count) >> 16).to(torch.uint8)


def generator_of(key: int, row: int) -> random.Random:
    """A generator of its own for one row of a slow task; Python's, whose stream is documented.

    `random()`, `getrandbits()` and what is built on them are the same in every version that this
    package runs on; the tests pin rows made with them.
    """
    return random.Random(key_of(key, row))
