"""Random finite automata: drawn, minimised, numbered in one way, and told apart by their language.

An automaton is a table `edges[state][symbol]` of next states, NONE where the symbol is not legal;
it starts in state 0, and its language is every word that it can read. The minimal automaton of a
language is unique up to the numbers of its states (Myhill and Nerode); numbered breadth-first from
the start, by rising symbols, it is unique, so that languages are equal where these tables are. The
split of a language follows from the SHA-256 of its table, and from nothing else: no seed, process
or length moves an automaton from training to test.
"""

from __future__ import annotations

import hashlib
import random

import torch
from torch import Tensor
from torch.nn.functional import pad

from .task import Split

NONE = 255
MOST_EDGES = 3
Edges = tuple[tuple[int, ...], ...]


def drawn(rng: random.Random, states: int, symbols: int, split: Split) -> Edges:
    """The minimal automaton, of exactly `states` states, of a language of the split."""
    while True:
        edges = numbered(random_edges(rng, states, symbols))
        if len(edges) == states and split_of(edges) == split and is_minimal(edges):
            return edges


def random_edges(rng: random.Random, states: int, symbols: int) -> Edges:
    """1 to 3 edges out of every state, with distinct symbols and uniform targets."""
    table = [[NONE] * symbols for _ in range(states)]
    for row in table:
        for symbol in rng.sample(range(symbols), rng.randrange(1, MOST_EDGES + 1)):
            row[symbol] = rng.randrange(states)
    return tuple(map(tuple, table))


def numbered(edges: Edges) -> Edges:
    """The states that can be reached, numbered breadth-first by rising symbols."""
    numbers, order = {0: 0}, [0]
    for state in order:
        for target in edges[state]:
            if target != NONE and target not in numbers:
                numbers[target] = len(order)
                order.append(target)
    numbers[NONE] = NONE
    return tuple(tuple(numbers[target] for target in edges[state]) for state in order)


def merged_as(edges: Edges) -> list[int]:
    """A class for every state, the same where two states read the same words (Moore 1956)."""
    classes, count = [0] * len(edges), 1
    while True:
        views = [
            (own, *(NONE if target == NONE else classes[target] for target in row))
            for own, row in zip(classes, edges, strict=True)
        ]
        found = {view: number for number, view in enumerate(dict.fromkeys(views))}
        classes = [found[view] for view in views]
        if len(found) == count:
            return classes
        count = len(found)


def is_minimal(edges: Edges) -> bool:
    """Whether no two states read the same words."""
    return len(set(merged_as(edges))) == len(edges)


def minimised(edges: Edges) -> Edges:
    """The minimal automaton of the same language, numbered breadth-first: its canonical form."""
    edges = numbered(edges)
    classes = merged_as(edges)
    first = [classes.index(number) for number in range(max(classes) + 1)]  # class 0 holds state 0
    table = [
        tuple(NONE if target == NONE else classes[target] for target in edges[state])
        for state in first
    ]
    return numbered(tuple(table))


def language_hash(edges: Edges) -> int:
    """64 bits that tell the language of a canonical table."""
    text = ";".join(",".join(map(str, row)) for row in edges)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


def split_of(edges: Edges) -> Split:
    """The split of a canonical table's language: eight of ten train, one each the others."""
    tenth = language_hash(edges) % 10
    return "train" if tenth < 8 else "validation" if tenth == 8 else "test"


# ---- words -----------------------------------------------------------------------------------


def walk(rng: random.Random, edges: Edges, steps: int) -> tuple[list[int], list[int]]:
    """The symbols of a random word, every legal one as likely, and the state after each."""
    symbols, states, state = [], [], 0
    for _ in range(steps):
        symbol = rng.choice([s for s, target in enumerate(edges[state]) if target != NONE])
        state = edges[state][symbol]
        symbols.append(symbol)
        states.append(state)
    return symbols, states


def text(
    rng: random.Random, edges: Edges, counts: tuple[int, int], longest: int, length: int
) -> tuple[list[int], list[int], tuple[int, int]]:
    """Words joined by a separator (the id after the symbols), cut to `length`, and the states.

    As many words as `counts` allows, of 1 to `longest` symbols; drawn again until `recurring` finds
    something, which comes third. A separator's state is the start.
    """
    separator = len(edges[0])
    while True:
        tokens: list[int] = []
        states: list[int] = []
        for _ in range(rng.randrange(counts[0], counts[1] + 1)):
            if len(tokens) > length:
                break
            symbols, visited = walk(rng, edges, rng.randrange(1, longest + 1))
            tokens += [*symbols, separator]
            states += [*visited, 0]
        end = min(len(tokens) - 1, length)
        found = recurring(tokens[:end], separator)
        if found:
            return tokens[:end], states[:end], found


def recurring(tokens: list[int], separator: int) -> tuple[int, int] | None:
    """The last symbol whose word so far began an earlier word too, and what followed there last."""
    after: dict[tuple[int, ...], int] = {}
    found: tuple[int, int] | None = None
    word: tuple[int, ...] = ()
    for place, token in enumerate(tokens):
        if token != separator:
            after[word] = token
        word = () if token == separator else (*word, token)
        if word and word in after:
            found = (place, after[word])
    return found


# ---- tables and rows as tensors --------------------------------------------------------------


def legal_next(edges: Tensor, states: Tensor) -> Tensor:
    """Legal symbols, bool [B, T, S], of tables [B, n, S] in states [B, T]."""
    rows = torch.arange(len(edges), device=edges.device)[:, None]
    return edges[rows, states.long()] != NONE


def is_legal(edges: Tensor, states: Tensor, symbols: Tensor) -> Tensor:
    """Whether symbols [B, T] are legal, bool [B, T]."""
    rows = torch.arange(len(edges), device=edges.device)[:, None]
    return edges[rows, states.long(), symbols.long()] != NONE


def entries(edges: Tensor) -> Tensor:
    """How many states each symbol leads to, and 1 for the separator: uint8 [B, S + 1]."""
    reached = [(edges == state).any(1) for state in range(edges.shape[1])]
    return pad(torch.stack(reached).sum(0).to(torch.uint8), (0, 1), value=1)


def seen_after(inputs: Tensor, separator: int) -> Tensor:
    """What followed the latest time that the word so far began a word, int64 [B, T]; 0 if never."""
    tokens = pad(inputs.long(), (1, 0), value=separator)  # [B, 1 + T]: a word starts with the row
    places = torch.arange(tokens.shape[1], device=tokens.device)
    goes_on = pad(tokens[:, 1:] < separator, (0, 1))
    answers = torch.zeros_like(tokens)
    same = torch.zeros_like(goes_on)  # whether the words so far at t and at each place are the same
    for t in range(1, tokens.shape[1]):
        now = tokens[:, t : t + 1]
        same = (tokens == now) & (pad(same, (1, -1)) | (now == separator))
        last = places[:t].where(same[:, :t] & goes_on[:, :t], -1).max(1, keepdim=True).values
        after = tokens.gather(1, last + 1)
        answers[:, t : t + 1] = after.where(last >= 0, 0)
    return answers[:, 1:]


def commonest_successor(inputs: Tensor, symbols: int) -> Tensor:
    """The symbol that came most often right after the current token so far, [B, T]."""
    tokens, rows = inputs.long(), torch.arange(len(inputs), device=inputs.device)
    counts = torch.zeros(len(tokens), symbols + 2, symbols, dtype=torch.int32, device=rows.device)
    answers = torch.zeros_like(tokens)
    for t in range(tokens.shape[1]):
        now = tokens[:, t]
        if t:
            counts[rows, tokens[:, t - 1], now.clamp_max(symbols - 1)] += (now < symbols).int()
        answers[:, t] = counts[rows, now].argmax(1)
    return answers
