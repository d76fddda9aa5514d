"""What sums cannot tell: the outcome of single test rows, and how every iteration moved.

Test rows are frozen, so that row i of a test set is the same for every method that is asked the
same form of the task; outcomes by row pair across methods and seeds. A trial's side file
(Store.rows_path) has, for every test length L, the first KEPT rows [N] of the test set at its
budgets [K]:

    L/budgets [K]        iteration budgets
    L/scored  [N]        scored tokens
    L/right   [K, N]     right tokens among them
    L/nats    [K, N]     sum of −log p(target), NaN where a logit is not finite
    L/energy  [K, N]     mean energy of the scored tokens; absent where the method has none

and of the first TOKENS rows, token by token, at the same budgets and the trained length:

    L/tokens/scored  [N, T]     whether the token is scored
    L/tokens/right   [K, N, T]  whether it is right
    L/tokens/nats    [K, N, T]  −log p(target)
    L/tokens/entropy [K, N, T]  nats of the read-out's distribution
    L/tokens/energy  [K, N, T]  absent where the method has none

    L/probe/NAME     [N, T]     what the method's probe tells of the first PROBED rows

Traces are histograms over scored tokens of log10 of the relative change and of the residual, by
iteration: quantiles follow, and histograms of seeds add up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..methods.method import Step

KEPT = 1024
"""Test rows of which outcomes are kept one by one; the sums cover all of them."""
TOKENS = 32
"""Test rows of which single tokens are kept."""
PROBED = 8
"""Test rows that a method's probe looks at."""
GRAIN = 2.0**14
"""Nats of tokens are kept to 1/GRAIN, so that files compress."""

TOKEN_METRICS = {"right": "token", "nats": "nats", "entropy": "entropy", "energy": "energy"}
"""What is kept of single tokens -> the observation that it is."""

LOWEST, HIGHEST, PER_DECADE = -9, 3, 8
BINS = (HIGHEST - LOWEST) * PER_DECADE + 2
"""Bins of a histogram: the first below 10^LOWEST (zero included), the last from 10^HIGHEST on."""


class Witness:
    """Takes down one test set of one trial, part by part."""

    def __init__(self) -> None:
        self.counts: dict[str, dict[int, Tensor]] = {}
        self.looks: dict[int, dict[str, list[Tensor]]] = {}
        self.scored: list[Tensor] = []
        self.tokens: dict[str, dict[int, list[Tensor]]] = {}
        self.probes: dict[str, Tensor] = {}

    def begin(self, mask: Tensor) -> None:
        """A part of the rows, by its mask [B, T]."""
        self.scored.append(mask.sum(1).cpu())
        self.keep("scored", 0, mask)

    def trace(self, taken: int, step: Step, mask: Tensor) -> None:
        """Count the movement of an iteration, and the residual that it left."""
        seen = {"change": step.change if taken else None, "residual": step.residual}
        for name, value in seen.items():
            if value is not None:
                by_iteration = self.counts.setdefault(name, {})
                counts = torch.bincount(bins(value[mask]), minlength=BINS).cpu()
                by_iteration[taken] = by_iteration.get(taken, torch.zeros_like(counts)) + counts

    def look(self, taken: int, seen: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        """Keep what the rows of a part scored at a budget; `seen` as evaluate.observe gives it."""
        mask, right = seen["token"]
        finite, nats = seen["nats"]
        whole = (finite == mask).all(1)
        found = {
            "right": right.sum(1),
            "nats": nats.double().sum(1).masked_fill(~whole, torch.nan),
        }
        if "energy" in seen:
            found["energy"] = seen["energy"][1].double().sum(1) / mask.sum(1)
        for name, value in found.items():
            self.looks.setdefault(taken, {}).setdefault(name, []).append(value.cpu())
        for name, key in TOKEN_METRICS.items():
            if key in seen:
                self.keep(name, taken, seen[key][1])

    def keep(self, name: str, taken: int, value: Tensor) -> None:
        """Keep the tokens [B, T] of a part, as long as rows are wanted."""
        parts = self.tokens.setdefault(name, {}).setdefault(taken, [])
        wanted = TOKENS - sum(map(len, parts))
        if wanted > 0:
            parts.append(value[:wanted].cpu())

    def probe(self, found: Mapping[str, Tensor]) -> None:
        """Keep what a method's probe told."""
        self.probes = {name: value.detach().cpu() for name, value in found.items()}

    def rows(self, length: int) -> dict[str, np.ndarray]:
        """The arrays of the side file."""
        if not self.looks:
            return {}
        budgets = sorted(self.looks)
        scored = torch.cat(self.scored)[:KEPT]
        found = {"budgets": np.array(budgets), "scored": small(scored)}
        for name in self.looks[budgets[0]]:
            columns = [torch.cat(self.looks[taken][name])[:KEPT] for taken in budgets]
            stacked = torch.stack(columns)
            found[name] = small(stacked) if name == "right" else stacked.float().numpy()
        return {f"{length}/{name}": value for name, value in found.items()}

    def singles(self, length: int) -> dict[str, np.ndarray]:
        """The arrays of single tokens, and of the probe, for the side file."""
        found = {}
        for name, by_budget in self.tokens.items():
            stacked = torch.stack([torch.cat(by_budget[taken]) for taken in sorted(by_budget)])
            if stacked.is_floating_point():
                stacked = (stacked.double() * GRAIN).round().div(GRAIN).float()
            found[f"{length}/tokens/{name}"] = (stacked[0] if name == "scored" else stacked).numpy()
        probes = {f"{length}/probe/{name}": v.float().numpy() for name, v in self.probes.items()}
        return {**found, **probes}

    def traces(self) -> dict[str, Any]:
        """Name -> iteration -> [[bin, tokens], …] without empty bins."""
        return {
            name: {str(taken): pairs(counts) for taken, counts in sorted(by_iteration.items())}
            for name, by_iteration in self.counts.items()
        }


def small(values: Tensor) -> np.ndarray:
    """Counts as the smallest unsigned integers that hold them."""
    array = values.long().numpy()
    return array.astype(np.min_scalar_type(int(array.max(initial=0))))


def bins(values: Tensor) -> Tensor:
    """The bin of every value, int64; what is not finite falls into the last."""
    levels = values.double().abs().log10().sub(LOWEST).mul(PER_DECADE).floor().add(1)
    return levels.nan_to_num(nan=BINS - 1, posinf=BINS - 1, neginf=0).clamp(0, BINS - 1).long()


def pairs(counts: Tensor) -> list[list[int]]:
    """[[bin, count], …] of the bins that are not empty."""
    return [[index, int(count)] for index, count in enumerate(counts.tolist()) if count]


def quantiles(histogram: Sequence[Sequence[int]], shares: Sequence[float]) -> list[float]:
    """Quantiles of a trace's histogram: the middle (geometric) of the bin that holds each.

    The first bin has no lower end: a quantile in it reads 10^LOWEST.
    """
    total = sum(count for _, count in histogram)
    found: list[float] = []
    below = 0
    wanted = [max(share * total, 1) for share in shares]
    for index, count in sorted(map(tuple, histogram)):
        below += count
        while len(found) < len(wanted) and below >= wanted[len(found)]:
            found.append(10 ** (LOWEST + (index - 0.5) / PER_DECADE) if index else 10.0**LOWEST)
    return found


def pooled(histograms: Sequence[Sequence[Sequence[int]]]) -> list[list[int]]:
    """The sum of histograms, such as of several seeds."""
    counts: dict[int, int] = {}
    for histogram in histograms:
        for index, count in histogram:
            counts[index] = counts.get(index, 0) + count
    return [[index, counts[index]] for index in sorted(counts)]
