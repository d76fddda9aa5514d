"""Flip-flop: read the bit that was written last, past bits that are to be ignored.

Liu, Ash, Goel, Krishnamurthy and Zhang 2023, "Exposing attention glitches with flip-flop language
modeling", arXiv:2306.00946v2, §3. A row is L/2 pairs (instruction, bit); ids: bits 0 and 1, write
2, read 3, ignore 4, answer slot 5. The first pair writes, the last one reads, the others ignore
with probability `ignore`, and write or read with half of the rest each; bits are fair. The answer
to a read is the bit of the latest write. Variant `removed` (the default) puts the answer slot in
place of the bit after a read and scores it there, for methods of both kinds. Variant `nexttoken` is
the paper's: the true bit stands after the read, which is scored, so that a method that reads ahead
would copy it. Both have the same rows.

Scored: all reads, or the last one (supervision `final`). The natural sampler draws as above. The
stratified one fixes the distance d in pairs from the last read back to its write, dealt to the bins
1, 2-3, 4-7, … up to L/2 − 1 in turn and uniform within: that pair writes, later ones ignore or read
in their own proportion. Axes: `distance`, of the last read; `gap`, of every read. A 32-bit draw
decides a pair: its lowest bit is the pair's bit, the other 31 choose the instruction.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from .counter import below, bits32, key_of, split, words
from .sampling import cells, chunked, doubling, doubling_ends, doubling_name, latest
from .task import (
    SAMPLERS,
    SUPERVISIONS,
    Batch,
    Rule,
    Split,
    Task,
    final_only,
    key_parts,
    require_known,
    require_sizes,
)

WRITE, READ, IGNORE, ANSWER = 2, 3, 4, 5
VARIANTS = ("removed", "nexttoken")
WHOLE, LEAST = 2**31, -(2**30)  # number of an instruction's draws, and the lowest of them


@dataclass(frozen=True, kw_only=True)
class FlipFlop(Task):
    """Flip-flop; strata: distance (last read to its write) and gap (of every read), in pairs.

    ignore: probability of an ignored pair, 0 to 1; variant removed|nexttoken; sampler
    natural|stratified; supervision dense|final (all reads or the last).
    """

    ignore: float = 0.8
    variant: str = "removed"
    sampler: str = "stratified"
    supervision: str = "dense"

    name: ClassVar[str] = "flipflop"
    version: ClassVar[int] = 1  # type: ignore[misc]
    vocab: ClassVar[int] = 6  # type: ignore[misc]
    classes: ClassVar[int] = 2  # type: ignore[misc]
    causal: ClassVar[bool] = True  # type: ignore[misc]
    source: ClassVar[str] = "Liu et al. 2023, arXiv:2306.00946v2, §3"
    solved_by: ClassVar[str] = "LSTM of one layer, exactly; transformers err now and then, far off"
    examples: ClassVar = (
        {},
        {"variant": "nexttoken"},
        {"ignore": 0.1, "sampler": "natural", "supervision": "final"},
        {"ignore": 0.98, "variant": "nexttoken", "supervision": "final"},
    )

    @property
    def dials(self) -> tuple[str, ...]:  # type: ignore[override]
        """The distance, which natural rows leave to chance."""
        return ("distance",) if self.sampler == "stratified" else ()

    def __post_init__(self) -> None:
        """Refuse unknown names and what is no probability; 1 and 1.0 are the same rows."""
        require_known("variant", self.variant, VARIANTS)
        require_known("sampler", self.sampler, SAMPLERS)
        require_known("supervision", self.supervision, SUPERVISIONS)
        if not 0 <= self.ignore <= 1:
            raise ValueError(f"expected ignore, a probability, from 0 to 1, got {self.ignore}")
        object.__setattr__(self, "ignore", float(self.ignore))

    @property
    def reveals(self) -> bool:  # type: ignore[override]
        """The true bit stands after its read."""
        return self.variant == "nexttoken"

    def form(self, causal: bool) -> Task | None:
        """Without the answer tokens for a method that reads ahead; the rows are the same."""
        return self if causal else replace(self, variant="removed")

    def require_length(self, length: int) -> None:
        """Pairs, the first of which writes and the last of which reads."""
        if length < 4 or length % 2:
            raise ValueError(f"expected an even length of at least 4, got {length}")

    # ---- rows --------------------------------------------------------------------------------

    def sample(self, n: int, length: int, seed: int, split: Split) -> Batch:
        """Rows of uint8 ids [n, length] with the bits that their reads ask for."""
        require_sizes(self, n, length, split)
        same = replace(self, variant="removed", supervision="dense")
        key = key_of(*key_parts(same, seed, split, length))
        return chunked(lambda rows: self.batch(*self.draw(key, rows, length // 2)), n)

    def draw(self, key: int, rows: Tensor, pairs: int) -> tuple[Tensor, Tensor]:
        """Instructions and bits, uint8 [R, P] each, of some rows."""
        draws = split(words(key, rows, (pairs + 1) // 2), torch.int32, pairs)  # [R, P]
        kind = self.instructions(draws >> 1)
        if self.sampler == "stratified":
            distance = distances(key_of(key, "distances"), rows, pairs)
            self.plant(kind, draws >> 1, pairs - 1 - distance)
        kind[:, 0], kind[:, -1] = WRITE, READ
        return kind, (draws & 1).to(torch.uint8)

    def shares(self) -> tuple[int, int]:
        """How many of the WHOLE draws ignore, and how many write."""
        ignored = round(self.ignore * WHOLE)
        return ignored, (WHOLE - ignored) // 2

    def instructions(self, draws: Tensor) -> Tensor:
        """Instructions, uint8 [R, P], of draws in [LEAST, LEAST + WHOLE)."""
        ignored, written = self.shares()
        kind = torch.full(draws.shape, READ, dtype=torch.uint8)
        kind.masked_fill_(draws < LEAST + ignored + written, WRITE)
        return kind.masked_fill_(draws < LEAST + ignored, IGNORE)

    def plant(self, kind: Tensor, draws: Tensor, place: Tensor) -> None:
        """Make the pair at a place [R, 1] the last one that writes."""
        ignored, written = self.shares()
        ignored_later = ignored * WHOLE // (WHOLE - written)  # of those that do not write
        later = torch.arange(kind.shape[1]) > place
        kind.masked_fill_(later, READ)
        kind.masked_fill_(later & (draws < LEAST + ignored_later), IGNORE)
        kind.scatter_(1, place, WRITE)

    def batch(self, kind: Tensor, bit: Tensor) -> Batch:
        """Rows of instructions and bits [R, P] with all that follows from them."""
        read, places = kind == READ, torch.arange(kind.shape[1], dtype=torch.int32)
        writes = carried((2 * places + bit).masked_fill_(kind != WRITE, 0))  # as latest_writes
        answers = (writes & 1).to(torch.uint8)
        bins = doubling(torch.arange(kind.shape[1])).to(torch.uint8)
        gaps = bins.index_select(0, (places - (writes >> 1)).flatten()).view(kind.shape)
        shown = answers if self.variant == "nexttoken" else torch.full_like(bit, ANSWER)
        inputs = torch.stack([kind, shown.where(read, bit)], 2).flatten(1)
        mask = self.scored(read)
        if self.supervision == "final":
            mask = final_only(mask)
        strata = {"distance": gaps[:, -1], "gap": self.scored(gaps * read)}
        return Batch(inputs, self.scored(answers) * mask, mask, strata)

    def scored(self, column: Tensor) -> Tensor:
        """A column of the pairs [R, P] at the token of each that is scored, [R, 2P]."""
        empty = torch.zeros_like(column)
        both = [empty, column] if self.variant == "removed" else [column, empty]
        return torch.stack(both, 2).flatten(1)

    def asked(self, inputs: Tensor) -> Tensor:
        """Where a bit is asked for, bool [B, T]."""
        return inputs == (ANSWER if self.variant == "removed" else READ)

    def label(self, inputs: Tensor) -> Tensor:
        """The bit of the latest write at every question; 0 before the first one."""
        bits = latest_writes(inputs) & 1
        return bits.masked_fill_(~self.asked(inputs), 0).to(inputs.dtype)

    def stratum_name(self, axis: str, stratum: int) -> str:
        """`distance 4-7`: pairs from a read back to its write."""
        return f"{axis} {doubling_name(stratum)}"

    def input_name(self, token: int) -> str:
        """0 and 1, w, r and i as in the paper, ? for the answer slot."""
        return "01wri?"[token]

    # ---- levels ------------------------------------------------------------------------------

    def chance(self, length: int) -> float:
        """A coin: the written bits are fair."""
        return 0.5

    def rules(self) -> dict[str, Rule]:
        """The latest bit, whatever stands before it, and the commoner bit so far."""
        return {
            "latest bit": lambda inputs: latest(inputs, inputs < WRITE),
            "majority of bits": majority_so_far,
        }


def latest_writes(inputs: Tensor) -> Tensor:
    """2 · (place of the latest written bit) + (the bit), int32 [B, T]; 0 before the first one."""
    places = torch.arange(inputs.shape[1], dtype=torch.int32, device=inputs.device)
    written = inputs < WRITE
    written[:, :1] = False
    written[:, 1:] &= inputs[:, :-1] == WRITE
    return carried((2 * places + inputs).int().masked_fill_(~written, 0))


def carried(codes: Tensor) -> Tensor:
    """The greatest code so far, [B, T]; time runs along the first axis of the work."""
    codes = codes.T.contiguous()
    for t in range(1, len(codes)):
        torch.maximum(codes[t - 1], codes[t], out=codes[t])
    return codes.T.contiguous()


def distances(key: int, rows: Tensor, pairs: int) -> Tensor:
    """Pairs [R, 1] from the last read back to its write, the doubling bins in turn."""
    (bin,) = cells(rows, (pairs - 1).bit_length())
    low, high = doubling_ends(bin + 1, pairs - 1)
    return (low + below(bits32(key, rows, 1)[:, 0], high - low + 1))[:, None]


def majority_so_far(inputs: Tensor) -> Tensor:
    """1 where more ones than zeros have come, [B, T]."""
    balance = (inputs == 1).long() - (inputs == 0).long()
    return (balance.cumsum(1) > 0).to(inputs.dtype)
