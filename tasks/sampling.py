"""Bricks of the generators: strata filled equally, subsets of a given size, bins with names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from .counter import below, bits32
from .task import Batch

CHUNK = 4096
"""Rows made at once: their draws stay in the cache of a core."""
BINS = 8
"""Bins of a count of marked positions, from 16 positions on; below there is one."""


def chunked(make: Callable[[Tensor], Batch], n: int) -> Batch:
    """Rows 0 … n−1, CHUNK at a time; `make` turns row numbers [R], int64, into their rows."""
    starts = range(0, max(n, 1), CHUNK)
    return joined([make(torch.arange(start, min(start + CHUNK, n))) for start in starts])


def joined(parts: Sequence[Batch]) -> Batch:
    """Batches of one length below each other."""
    if len(parts) == 1:
        return parts[0]
    return Batch(
        torch.cat([part.inputs for part in parts]),
        torch.cat([part.targets for part in parts]),
        torch.cat([part.mask for part in parts]),
        below_each_other([part.strata for part in parts]),
        below_each_other([part.extra for part in parts]),
    )


def below_each_other(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Columns of the same names, concatenated."""
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def cells(rows: Tensor, *counts: int) -> list[Tensor]:
    """A cell of the grid `counts` for every row number, filled in turn: one index [R] an axis.

    Rows i, i + 1, … fall into the cells one after the other, so that any n rows differ by at most
    one in how many a cell holds. The rows of a batch of training are drawn in a random order.
    """
    indices, place = [], rows
    for count in reversed(counts):
        indices.append(place % count)
        place = place // count
    return indices[::-1]


def chosen(bits: Tensor, size: Tensor) -> Tensor:
    """A uniform subset of `size` [R] of the columns, as bool [R, T], from `bits32` [R, T].

    Knuth's Algorithm S (The Art of Computer Programming, vol. 2, §3.4.2): position t joins with
    probability (still wanted)/(still to come), which is exact; time runs along the first axis.
    """
    count, length = bits.shape
    draws, wanted = bits.T.contiguous(), size.clone()
    taken = torch.empty(length, count, dtype=torch.bool, device=bits.device)
    for t in range(length):
        taken[t] = ((draws[t] * (length - t)) >> 32) < wanted
        wanted -= taken[t].long()
    return taken.T.contiguous()


def count_edges(length: int) -> Tensor:
    """Upper ends [bins] of the bins of a count: bin j holds counts over edge j−1 up to edge j."""
    if length < 16:
        return torch.tensor([length])
    return torch.tensor([2 * ((j * length) // 16) for j in range(1, BINS)] + [length])


def count_ends(length: int) -> tuple[Tensor, Tensor]:
    """Least and greatest count [bins] that a bin's rows have: as many even counts as odd ones.

    So a stratum does not tell the parity of its count; from 16 positions on.
    """
    high = count_edges(length)
    low = torch.cat([torch.ones_like(high[:1]), high[:-1] + 1])
    high[-1] -= length % 2  # an odd length's last count would tip its bin
    return low, high


def counts_in_bins(rows: Tensor, bits: Tensor, length: int) -> Tensor:
    """A count [R] for every row, the bins in turn and uniform within; bits [R] from `bits32`."""
    low, high = count_ends(length)
    (bin,) = cells(rows, BINS)
    return low[bin] + below(bits, (high - low + 1)[bin])


def counted_places(key: int, rows: Tensor, length: int) -> Tensor:
    """Places, as many as `counts_in_bins` says, without replacement, bool [R, T]."""
    bits = bits32(key, rows, length + 1)
    return chosen(bits[:, 1:], counts_in_bins(rows, bits[:, 0], length))


def order(bits: Tensor) -> Tensor:
    """A uniform permutation of the columns, [R, T], from `bits32`: ties keep their order."""
    return bits.argsort(dim=1, stable=True)


def doubling(values: Tensor) -> Tensor:
    """Bins 0, 1, 2–3, 4–7, 8–15, … of integers ≥ 0, as ids 0, 1, 2, …"""
    edges = 2 ** torch.arange(40, device=values.device)
    return torch.bucketize(values.long(), edges, right=True)


def doubling_ends(bin: Tensor, most: Tensor | int) -> tuple[Tensor, Tensor]:
    """Least and greatest value [R] of bins of `doubling`, none of them over `most`."""
    low = torch.where(bin > 0, 2 ** (bin - 1).clamp_min(0), 0)
    high = torch.where(bin > 0, 2**bin - 1, 0)
    return low.clamp_max(most), high.clamp_max(most)


def doubling_name(bin: int) -> str:
    """`0`, `1`, `2-3`, `4-7`, …: what a bin of `doubling` holds."""
    if bin < 2:
        return str(bin)
    return f"{2 ** (bin - 1)}-{2**bin - 1}"


def latest(values: Tensor, marked: Tensor, none: int = 0) -> Tensor:
    """The value at the latest marked position up to t, `none` before the first; all [R, T]."""
    places = torch.arange(values.shape[1], device=values.device).expand(values.shape)
    last = places.where(marked, -1).cummax(1).values
    found = values.gather(1, last.clamp_min(0))
    return found.where(last >= 0, none)
