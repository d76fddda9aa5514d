"""Two results folders side by side: what moved beyond noise, what is new, missing or dearer.

Trials match by id (the same trial), the rest by what a reader would call the same: task and row as
the tables name them, lengths, seed, and how they train and are tested (another version, where the
method, the task or the preset changed). Matched trials pair by seed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pandas as pd

from .errors import Misuse
from .matching import Match, Outcome, matched, outcomes
from .registry import Registry, load_registry
from .stats.intervals import seed_interval
from .store import Store
from .tables import Table, cell, engineering
from .trial import OK, Trial

FEWEST_SEEDS = 3
"""Under so many seeds an interval is too wide, or by chance too narrow, to tell a movement."""
MOVED, NOISE, FEW = "moved", "not beyond noise", "too few seeds"


def compare(a: Store, b: Store, registry: Registry | None = None) -> list[Table]:
    """Tables of what B changed: a summary, scores, statuses, trials in one only, costs.

    The registry names each task's own metric; a task that is not at hand is compared by `token`.

    Raises:
        Misuse: a folder without records, or with one whose schema is newer than this version reads.
    """
    registry = registry or load_registry()
    first, second = outcomes(a, registry), outcomes(b, registry)
    for store, found in ((a, first), (b, second)):
        if not found:
            raise Misuse(f"no records in {store.folder}: expected a results folder to compare")
    pairs, left, right = matched(first, second)
    places = f"A is {a.folder}, B is {b.folder}"
    aside = tuple(f"Set aside: {line}" for store in (a, b) for line in store.set_aside)
    scores = score_table(pairs)
    told = (places, scores.notes[0], *aside)
    tables = [
        summary_table(pairs, left, right, told),
        scores,
        status_table(pairs),
        single_table(left, right),
        cost_table(pairs),
    ]
    return [table for table in tables if len(table.frame)]


def summary_table(
    pairs: Sequence[Match],
    left: Sequence[Outcome],
    right: Sequence[Outcome],
    notes: tuple[str, ...],
) -> Table:
    """How many trials match, and how."""
    counts = Counter((pair.version, pair.standing) for pair in pairs)
    rows = [[*key, count] for key, count in sorted(counts.items())]
    rows += [["only in A (missing in B)", "-", len(left)]] if left else []
    rows += [["only in B (new)", "-", len(right)]] if right else []
    frame = pd.DataFrame(rows, columns=["trials", "outcome", "number"])
    return Table("compare-summary", "A and B: how their trials match", frame, notes)


def score_table(pairs: Sequence[Match]) -> Table:
    """The paired differences by seed of every place whose counts are not all identical."""
    rows, identical, scored = (
        [],
        0,
        [pair for pair in pairs if pair.a.status == pair.b.status == OK],
    )
    groups: dict[tuple, list[tuple[Match, tuple]]] = {}
    for pair in scored:
        for place in pair.a.scores.keys() & pair.b.scores.keys():
            groups.setdefault((pair.version, *named(pair.b.trial), *place), []).append(
                (pair, place)
            )
    for key, members in sorted(groups.items()):
        if all(pair.a.scores[place] == pair.b.scores[place] for pair, place in members):
            identical += 1
        else:
            rows.append(score_row(key, members))
    order = {MOVED: 0, NOISE: 1, FEW: 2}
    rows.sort(key=lambda row: order[row[-1]])
    columns = ["task", "trained at", "method", "version", "L", "K", "metric", "A, %", "B, %"]
    frame = pd.DataFrame(rows, columns=[*columns, "B − A, points", "seeds", "verdict"])
    notes = (
        f"{identical} of {len(groups)} places (task, length, row, budget, metric) have identical "
        "counts in every seed and are in no table",
        f"B − A: mean of the differences by seed [95 % t interval]; moved: it leaves out 0, with "
        f"{FEWEST_SEEDS} seeds or more. By chance about one in 20 of the unmoved is called moved",
    )
    return Table("compare-scores", "A and B: scores that differ", frame, notes)


def score_row(key: tuple, members: Sequence[tuple[Match, tuple]]) -> list:
    """A place's means, difference and verdict."""
    version, task, trained, method, length, budget, metric = key
    shares = [(pair.a.share(place), pair.b.share(place)) for pair, place in members]
    points = [100 * (after - before) for before, after in shares]
    found = seed_interval(points, -100, 100)
    means = [f"{100 * sum(side) / len(side):.2f}" for side in zip(*shares, strict=True)]
    if found.n < FEWEST_SEEDS:
        verdict = FEW
    else:
        verdict = MOVED if found.low > 0 or found.high < 0 else NOISE
    place = [task, trained, method, version, length, budget, metric]
    return [*place, *means, cell(found, share=True), found.n, verdict]


def status_table(pairs: Sequence[Match]) -> Table:
    """The trials whose status is another in B, with the reason where there is one."""
    rows = [
        [pair.b.trial.name, pair.version, pair.a.status, pair.b.status, pair.b.why or pair.a.why]
        for pair in sorted(pairs, key=lambda pair: pair.b.trial.name)
        if pair.a.status != pair.b.status
    ]
    columns = ["trial", "version", "status in A", "status in B", "reason"]
    frame = pd.DataFrame(rows, columns=columns)
    return Table("compare-statuses", "A and B: statuses that changed", frame)


def single_table(left: Sequence[Outcome], right: Sequence[Outcome]) -> Table:
    """The trials that one folder has alone."""
    sides = (("A (missing in B)", left), ("B (new)", right))
    rows = [
        [one.trial.name, one.trial.preset, side, one.status]
        for side, found in sides
        for one in sorted(found, key=lambda one: one.trial.name)
    ]
    frame = pd.DataFrame(rows, columns=["trial", "preset", "only in", "status"])
    return Table("compare-single", "A and B: trials in one folder only", frame)


def cost_table(pairs: Sequence[Match]) -> Table:
    """Parameters and FLOPs of every row at its lengths; seconds as a ratio only."""
    groups: dict[tuple, list[Match]] = {}
    for pair in pairs:
        if pair.a.status == pair.b.status == OK:
            groups.setdefault((*named(pair.b.trial), pair.version), []).append(pair)
    rows = []
    for (task, length, method, version), members in sorted(groups.items()):
        told = [changes(members, name) for name in ("parameters", "train_flops", "answer_flops")]
        rows.append([task, length, method, version, *told, ratio(members)])
    columns = ["task", "L", "method", "version", "parameters", "training FLOPs", "FLOPs/token"]
    frame = pd.DataFrame(rows, columns=[*columns, "training s, B/A"])
    devices = "; ".join(sorted({one.device for pair in pairs for one in (pair.a, pair.b)}))
    note = (
        "=: the same in every seed; FLOPs/token at the highest budget that both were asked; "
        f"seconds are no result: machines differ, in kind or in load ({devices})"
    )
    return Table("compare-costs", "A and B: costs", frame, (note,))


def changes(members: Sequence[Match], name: str) -> str:
    """`=`, or `132,226 → 140,000` of the first seed that differs; `-` where one does not tell."""
    values = [(pair.a.costs.get(name), pair.b.costs.get(name)) for pair in members]
    if name == "answer_flops":
        values = [pair.answering() for pair in members]
    for before, after in values:
        if before is None or after is None:
            return "-"
        if before != after:
            show = "{:,.0f}".format if name == "parameters" else engineering
            return f"{show(before)} → {show(after)}"
    return "="


def ratio(members: Sequence[Match]) -> str:
    """The median over seeds of B's training seconds over A's."""
    found = [
        pair.b.costs["train_seconds"] / pair.a.costs["train_seconds"]
        for pair in members
        if pair.a.costs.get("train_seconds") and pair.b.costs.get("train_seconds")
    ]
    return f"×{pd.Series(found).median():.2f}" if found else "-"


def named(trial: Trial) -> tuple[str, int, str]:
    """Task, trained length and row, as the tables name them."""
    return trial.question, trial.length, trial.row
