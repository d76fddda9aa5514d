"""Which trials of two results folders belong together, and what of their records is compared."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import Misuse
from .registry import Registry
from .store import Store
from .trial import OK, Record, Trial, canonical

SAME, OTHER = "same", "other"
Place = tuple[int, int, str]
"""Test length, budget, metric."""


@dataclass(frozen=True)
class Outcome:
    """What is compared of a record; scores: (n, sum) of the main metrics over all test rows.

    digest: of every metric, so that equal ones are bit-equal.
    """

    trial: Trial
    status: str
    why: str
    scores: Mapping[Place, tuple[int, float]]
    digest: str
    costs: Mapping[str, Any]
    device: str

    def share(self, place: Place) -> float:
        """The score at a place."""
        n, total = self.scores[place]
        return total / n


@dataclass(frozen=True)
class Match:
    """One trial in A and in B; version: `same` spec, or `other`."""

    a: Outcome
    b: Outcome
    version: str

    @property
    def standing(self) -> str:
        """How the two outcomes stand to each other, in words."""
        if self.a.status != self.b.status:
            return f"{self.a.status} → {self.b.status}"
        if self.a.status != OK:
            return f"{self.a.status} in both"
        return "identical metrics" if self.a.digest == self.b.digest else "other metrics"

    def answering(self) -> tuple[float | None, float | None]:
        """FLOPs per token of both at the highest common budget; None where there is none."""
        first = self.a.costs.get("answer_flops_per_token", {})
        second = self.b.costs.get("answer_flops_per_token", {})
        budgets = sorted(first.keys() & second.keys(), key=int)
        return (first[budgets[-1]], second[budgets[-1]]) if budgets else (None, None)


def outcomes(store: Store, registry: Registry) -> list[Outcome]:
    """The outcomes of a folder, in the order of ids; records that do not read are set aside."""
    metrics: dict[str, str] = {}
    return [
        outcome(record, own_metric(record.trial, registry, metrics)) for record in store.records()
    ]


def own_metric(trial: Trial, registry: Registry, known: dict[str, str]) -> str:
    """The metric that a trial's task is scored by; `token` where the task is not at hand."""
    key = canonical([trial.task, trial.task_options])
    if key not in known:
        try:
            known[key] = registry.task(trial.task)(**trial.task_options).metric
        except (ImportError, Misuse, TypeError, ValueError):
            known[key] = "token"
    return known[key]


def outcome(record: Record, metric: str) -> Outcome:
    """What is compared of a record, by its task's own metric and by whole sequences."""
    scores = {
        (length, taken, name): (n, total)
        for split, length, taken, axis, _, name, n, total in record.metrics
        if split == "test" and axis == "all" and name in (metric, "sequence")
        if n and total is not None
    }
    return Outcome(
        trial=record.trial,
        status=record.status,
        why=next(iter(record.reason.splitlines()), "")[:160],
        scores=scores,
        digest=hashlib.sha256(
            canonical(sorted(map(canonical, record.metrics))).encode()
        ).hexdigest(),
        costs=record.costs,
        device=str(record.environment.get("device_name") or "unknown device"),
    )


def matched(
    first: Sequence[Outcome], second: Sequence[Outcome]
) -> tuple[list[Match], list[Outcome], list[Outcome]]:
    """Matches, and what is left of each side.

    A likeness that several trials of a side share (an option was varied under one name) matches
    none of them: only their ids tell them apart.
    """
    ids = {one.trial.id: one for one in second}
    same = [Match(one, ids.pop(one.trial.id), SAME) for one in first if one.trial.id in ids]
    taken = {match.a.trial.id for match in same}
    left = [one for one in first if one.trial.id not in taken]
    before, after = by_likeness(left), by_likeness(ids.values())
    other = [
        Match(before[key][0], after[key][0], OTHER)
        for key in before
        if len(before[key]) == len(after.get(key, ())) == 1
    ]
    gone = {one.trial.id for match in other for one in (match.a, match.b)}
    rest = [[one for one in side if one.trial.id not in gone] for side in (left, ids.values())]
    return [*same, *other], rest[0], rest[1]


def by_likeness(found: Iterable[Outcome]) -> dict[str, list[Outcome]]:
    """The outcomes by all that makes a reader call two trials the same."""
    groups: dict[str, list[Outcome]] = {}
    for one in found:
        trial = one.trial
        asked = [trial.question, trial.row, trial.length, trial.test_lengths, trial.train_lengths]
        key = canonical([*asked, trial.seed, trial.train, trial.evaluate])
        groups.setdefault(key, []).append(one)
    return groups
