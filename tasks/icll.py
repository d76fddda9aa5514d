"""In-context language learning: predict words of an automaton that is new in every row.

A row is words of one hidden automaton (RegBench's form), joined by SEP, cut to T tokens or followed
by PAD. Ids: symbols 0 … S−1, SEP S, PAD S+1; classes are the symbols. The automaton has exactly n
states when minimised, n from `fewest_states` to `states` in turn, 1 to 3 edges out of each with
distinct symbols, and uniform targets. A word is a walk of 1 to `longest` steps from the start, each
legal symbol as likely. No language is in two splits: the split follows from its canonical table.
Within a split, two rows may have the same automaton, and do where n and S are small.

Dense: the label is the next token; the mask leaves out where that is SEP, PAD or nothing. The next
token is random, so that the headline is `legal`: the answer is a symbol that may follow here. A
later input is the label, so that this form is for causal methods alone.

Final, for all methods, on the same rows: the row is cut behind the asked symbol, and what was drawn
next is nowhere. The label must follow from the inputs, so it is what followed the latest time that
the word so far began a word of the row: the state was the same, so that it is legal. Asked is the
last symbol of the row where there is such a label. `legal` means what it does above; `token` asks
for this one legal symbol. A row without such a symbol draws its words again, for both forms: that
is rare (1 in 25 at the default's 24 tokens, none at 64), but at lengths under twice `longest` it
makes words shorter than a plain walk's.

Strata: states of the row; per position the words before it, the number of legal symbols and
`entries`, the states that the current token can lead to: where it is one, the token alone tells the
state, and the bigrams of the row are enough. The automaton and its state after every token are in
`extra`.

Akyürek, Wang, Kim and Andreas 2024, arXiv:2401.12973.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import pad

from . import automata
from .automata import NONE
from .counter import generator_of, key_of
from .pool import Columns, pooled
from .sampling import CHUNK, joined, latest
from .task import (
    FROZEN,
    MEASURED_ROWS,
    SUPERVISIONS,
    Batch,
    Check,
    Rule,
    Split,
    Task,
    key_parts,
    require_known,
    require_sizes,
)

WORD_BINS = ("0", "1-2", "3-5", "6-9", "≥10")
WORD_EDGES = (1, 3, 6, 10)


@dataclass(frozen=True, kw_only=True)
class ICLL(Task):
    """Words of an unseen automaton; strata states; words before, degree (legal symbols), entries.

    states ≤ 16, from fewest_states ≥ 2; symbols 3–200; words in a row from fewest_words ≥ 2 on, of
    1 to longest (2–99) symbols; supervision dense|final.
    """

    states: int = 4
    fewest_states: int = 2
    symbols: int = 6
    words: int = 10
    fewest_words: int = 10
    longest: int = 9
    supervision: str = "dense"

    name: ClassVar[str] = "icll"
    version: ClassVar[int] = 1  # type: ignore[misc]
    causal: ClassVar[bool] = True  # type: ignore[misc]
    metric: ClassVar[str] = "legal"  # type: ignore[misc]
    dials: ClassVar[tuple[str, ...]] = ("states",)  # type: ignore[misc]
    titles: ClassVar[Mapping[str, str]] = {
        "legal": "Legal next symbol, %",
        "tvd": "Distance to the true next-symbol distribution",
    }
    source: ClassVar[str] = "Akyürek, Wang, Kim and Andreas 2024, arXiv:2401.12973"
    solved_by: ClassVar[str] = "transformers, better with n-gram heads"
    lengths: ClassVar[tuple[int, int]] = (24, 64)
    examples: ClassVar = (
        {},
        {"supervision": "final"},
        {"states": 6, "fewest_states": 5, "symbols": 8, "words": 12, "supervision": "final"},
    )

    def __post_init__(self) -> None:
        """Refuse an unknown supervision and numbers out of range or order."""
        require_known("supervision", self.supervision, SUPERVISIONS)
        ranges = (
            ("fewest_states", 2, self.fewest_states, self.states),
            ("states", self.fewest_states, self.states, 16),
            ("symbols", 3, self.symbols, 200),
            ("fewest_words", 2, self.fewest_words, self.words),
            ("longest", 2, self.longest, 99),
        )
        for name, low, value, high in ranges:
            if not low <= value <= high:
                raise ValueError(f"expected {name} from {low} to {high}, got {value}")

    @property
    def vocab(self) -> int:  # type: ignore[override]
        """The symbols, SEP and PAD."""
        return self.symbols + 2

    @property
    def classes(self) -> int:  # type: ignore[override]
        """The symbols."""
        return self.symbols

    @property
    def reveals(self) -> bool:  # type: ignore[override]
        """The next token is the next input, unless the row ends at the question."""
        return self.supervision == "dense"

    next_token = reveals

    def form(self, causal: bool) -> Task:
        """The final form for methods that read ahead."""
        return self if causal else replace(self, supervision="final")

    def require_length(self, length: int) -> None:
        """A word of two symbols, and another that begins like it."""
        if length < 4:
            raise ValueError(f"expected a length of at least 4, got {length}")

    # ---- rows --------------------------------------------------------------------------------

    def sample(self, n: int, length: int, seed: int, split: Split) -> Batch:
        """Rows of uint8 ids [n, length] with their next symbols, or one answer each."""
        require_sizes(self, n, length, split)
        key = key_of(*key_parts(replace(self, supervision="dense"), seed, split, length))
        columns = pooled(self.name, key, n, functools.partial(self.draw, key, length, split))
        parts = [slice(i, i + CHUNK) for i in range(0, max(n, 1), CHUNK)]
        return joined([self.batch({c: v[part] for c, v in columns.items()}) for part in parts])

    def draw(self, key: int, length: int, split: Split, rows: Tensor) -> Columns:
        """Inputs and states [R, T], edges [R, n, S]; place and answer of the final form, [R, 2]."""
        edges = torch.full((len(rows), self.states, self.symbols), NONE, dtype=torch.uint8)
        inputs = torch.full((len(rows), length), self.symbols + 1, dtype=torch.uint8)
        states = torch.zeros_like(inputs)
        asked = torch.zeros(len(rows), 2, dtype=torch.int32)
        for place, row in enumerate(rows.tolist()):
            rng, counts = generator_of(key, row), (self.fewest_words, self.words)
            count = self.fewest_states + row % (self.states - self.fewest_states + 1)
            table = automata.drawn(rng, count, self.symbols, split)
            tokens, visited, question = automata.text(rng, table, counts, self.longest, length)
            edges[place, :count] = torch.tensor(table)
            inputs[place, : len(tokens)] = torch.tensor(tokens)
            states[place, : len(tokens)] = torch.tensor(visited)
            asked[place] = torch.tensor(question)
        return {"inputs": inputs, "edges": edges, "state": states, "asked": asked}

    def batch(self, columns: Columns) -> Batch:
        """Rows of a pool with all that follows from them."""
        inputs, asked = columns["inputs"], columns["asked"].long()
        targets, mask = self.following(inputs)
        if self.supervision == "final":
            places = torch.arange(inputs.shape[1])
            mask = places == asked[:, :1]
            targets = asked[:, 1:].to(inputs.dtype).where(mask, 0)
            inputs = inputs.where(places <= asked[:, :1], self.symbols + 1)
        edges, states = columns["edges"], columns["state"]
        before = (inputs == self.symbols).cumsum(1)
        strata = {
            "states": (edges != NONE).any(2).sum(1),
            "words": torch.bucketize(before, torch.tensor(WORD_EDGES), right=True).to(torch.uint8),
            "degree": automata.legal_next(edges, states).sum(2).to(torch.uint8),
            "entries": automata.entries(edges).gather(1, inputs.long().clamp_max(self.symbols)),
        }
        return Batch(inputs, targets, mask, strata, {"edges": edges, "state": states})

    def following(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """The next token where it is a symbol, 0 elsewhere, and where it is one; [B, T]."""
        after = pad(inputs, (0, 1), value=self.symbols)[:, 1:]
        return after.where(after < self.symbols, 0), after < self.symbols

    def label(self, inputs: Tensor) -> Tensor:
        """The next symbol, or what followed where the word so far began another; 0 elsewhere."""
        if self.supervision == "dense":
            return self.following(inputs)[0]
        return automata.seen_after(inputs, self.symbols).to(inputs.dtype)

    # ---- levels and metrics ------------------------------------------------------------------

    def chance(self, length: int) -> float:
        """A random symbol: the mean number of legal ones, over the number of symbols.

        The mean is taken over the scored positions of validation rows, since no closed form is
        known for automata that must be minimal; no guess is drawn.
        """
        return mean_degree(self, length) / self.symbols

    def rules(self) -> dict[str, Rule]:
        """The commonest successor in the row of the current token; the latest symbol again."""
        return {
            "bigram": functools.partial(automata.commonest_successor, symbols=self.symbols),
            "latest symbol": lambda inputs: latest(inputs, inputs < self.symbols),
        }

    def checks(self, batch: Batch, answers: Tensor) -> dict[str, Check]:
        """Legal: the automaton has an edge with the answer out of the state."""
        legal = automata.is_legal(batch.extra["edges"], batch.extra["state"], answers)
        return {"legal": (legal, batch.mask)}

    def measures(self, batch: Batch, logits: Tensor) -> dict[str, Check]:
        """Total variation distance, ½ Σ |p − q|, to the true distribution of the next symbol.

        Dense alone: the final form's label is one of the legal symbols, and not a random one.
        """
        if self.supervision == "final":
            return {}
        legal = automata.legal_next(batch.extra["edges"], batch.extra["state"]).to(logits.dtype)
        truth = legal / legal.sum(2, keepdim=True)
        return {"tvd": ((logits.softmax(2) - truth).abs().sum(2) / 2, batch.mask)}

    # ---- names -------------------------------------------------------------------------------

    def stratum_name(self, axis: str, stratum: int) -> str:
        """`states 3`, `degree 2`, `entries 1`; words by the numbers in their bin, `words 3-5`."""
        return f"{axis} {WORD_BINS[stratum] if axis == 'words' else stratum}"

    def input_name(self, token: int) -> str:
        """A letter, or a number where there are more symbols than letters; SEP is a bar."""
        if token >= self.symbols:
            return "|" if token == self.symbols else "."
        return chr(ord("a") + token) if self.symbols <= 26 else str(token)

    def show(self, batch: Batch, row: int) -> str:
        """The words and answers, and the automaton's edges, state by state."""
        lines = [super().show(batch, row)]
        for state, targets in enumerate(batch.extra["edges"][row].tolist()):
            arrows = [f"{self.input_name(s)}→{t}" for s, t in enumerate(targets) if t != NONE]
            lines += [f"state {state}  " + "  ".join(arrows)] if arrows else []
        return "\n".join(lines)


@functools.lru_cache(maxsize=64)
def mean_degree(task: ICLL, length: int) -> float:
    """Legal symbols at a scored position of validation rows, on average."""
    batch = task.sample(MEASURED_ROWS, length, FROZEN, "validation")
    return float(batch.strata["degree"][batch.mask].double().mean())
