"""The sheets: golden numbers by hand on campaigns made by hand, pairing by seed, bad input."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from closedloop.bench.campaign import Campaign, open_campaign
from closedloop.bench.leaderboard import leaderboard
from closedloop.bench.positions import flops_per_answer, flops_per_row
from closedloop.bench.registry import Registry
from closedloop.bench.sheets.compute import compute_tables
from closedloop.bench.sheets.failures import failure_tables
from closedloop.bench.sheets.main import main_tables
from closedloop.bench.sheets.pairs import pair_tables
from closedloop.bench.sheets.paper import paper_tables, published
from closedloop.bench.store import Store
from closedloop.bench.tables import FORMATS, Table
from closedloop.bench.trial import OK, Record, Trial

MAKERS = (main_tables, pair_tables, paper_tables, compute_tables, failure_tables)
REFERENCE = Path(__file__).parents[1] / "results" / "reference"

ROWS = 100
CHANCE = 0.5
"""Chance on the parity of these records, so that a score s is normalised to 2 s − 1."""


def make_trial(
    row: str, seed: int = 0, question: str = "parity", length: int = 8, **given: Any
) -> Trial:
    """A trial of parity under other names, or of another task."""
    values: dict[str, Any] = {
        "task": "parity",
        "task_version": 1,
        "task_options": {},
        "method": "gru",
        "method_version": 1,
        "method_options": {"width": 8, "depth": 1},
        "length": length,
        "test_lengths": (length,),
        "seed": seed,
        "preset": "by-hand",
        "preset_version": 1,
        "train": {"rows": 64, "epochs": 1, "batch": 8},
        "evaluate": {"rows": ROWS, "iterations": [0]},
        "variant": row,
    }
    values |= {} if question == "parity" else {"task_variant": question}
    return Trial(**{**values, **given})


def make_record(
    of: Trial, share: float | Mapping[tuple[int, int], float] = 0.5, **given: Any
) -> Record:
    """A record: a token accuracy, or one a (test length, budget)."""
    shares = share if isinstance(share, Mapping) else {(n, 0): share for n in of.test_lengths}
    metrics: list[list[Any]] = []
    for (length, budget), value in shares.items():
        place = ["test", length, budget, "all", 0]
        metrics.append([*place, "token", ROWS * length, round(ROWS * length * value)])
        metrics.append([*place, "sequence", ROWS, round(ROWS * value)])
    told = {"rows": ROWS, "form": {}, "levels": {"chance": CHANCE}, "rules": {}}
    values: dict[str, Any] = {
        "status": OK,
        "metrics": metrics,
        "costs": make_costs(),
        "data": {str(length): told for length, _ in shares},
        "environment": {"device_name": "Abacus", "threads": 1, "jobs": 1},
    }
    return Record(trial=of, **{**values, **given})


def make_costs(parameters: int = 100, train_flops: float = 1e9, **given: Any) -> dict[str, Any]:
    """The costs of a trial that does not iterate."""
    found = {
        "parameters": parameters,
        "train_flops": train_flops,
        "train_seconds": 2.0,
        "steps": 8,
        "trained_iterations": 0,
        "answer_flops_per_token": {"0": 10.0},
        "answer_seconds_per_token": {"0": 1e-6},
    }
    return {**found, **given}


def broken(of: Trial, status: str = "error", reason: str = "it broke\ntraceback") -> Record:
    """A record without scores, as a run that broke leaves it."""
    environment = {"device_name": "Abacus", "threads": 1, "jobs": 1}
    return Record(trial=of, status=status, reason=reason, environment=environment)


def make_campaign(records: Sequence[Record], missing: Sequence[Trial] = ()) -> Campaign:
    """The campaign of these records, with further planned trials of which none is in."""
    trials = sorted([*(r.trial for r in records), *missing], key=lambda t: t.name)
    return Campaign(Store(Path("nowhere")), "by-hand", trials, list(records), Registry())


def by_seed(
    row: str, shares: Mapping[int, float | None], question: str = "parity", **given: Any
) -> list[Record]:
    """A record a seed: its token accuracy, or None for one that failed."""
    found = []
    for seed, share in shares.items():
        of = make_trial(row, seed, question, **given)
        found.append(broken(of) if share is None else make_record(of, share))
    return found


def table(found: Sequence[Table], name: str) -> Table:
    """The table of this name."""
    return next(one for one in found if one.name == name)


def line(one: Table, **wanted: str) -> dict[str, str]:
    """The one line whose columns hold these texts."""
    frame = one.frame
    for column, text in wanted.items():
        frame = frame[frame[column] == text]
    (found,) = frame.to_dict("records")
    return {str(name): str(text) for name, text in found.items()}


def numbers(text: str) -> list[float]:
    """The numbers of `0.5 [0.1, 0.9]`."""
    return [float(word.strip("[],")) for word in text.split()]


# ---- the main leaderboard ----------------------------------------------------------------------


def two_tasks() -> list[Record]:
    """Normalised: a has .2 .4 and .6 .8, b has .0 .6 and .4 .8; two seeds."""
    return [
        *by_seed("a", {0: 0.6, 1: 0.7}),
        *by_seed("a", {0: 0.8, 1: 0.9}, "other"),
        *by_seed("b", {0: 0.5, 1: 0.8}),
        *by_seed("b", {0: 0.7, 1: 0.9}, "other"),
    ]


def test_the_main_leaderboard_by_hand() -> None:
    """Pool .2 .4 .6 .8: IQM and mean .5. b: IQM (.4 + .6)/2, mean .45. Wins 2/4, then 2.5/4."""
    (found,) = main_tables(make_campaign(two_tasks()), "b")
    first, second = line(found, method="a"), line(found, method="b")
    assert list(found.frame["method"]) == ["a", "b"]
    assert numbers(first["IQM, these tasks"])[0] == 0.5 == numbers(second["IQM, these tasks"])[0]
    assert numbers(first["mean, tasks like these"])[0] == 0.5
    assert numbers(second["mean, these tasks"])[0] == 0.45
    # by task: .2 beats .0 only, .4 beats .0 only; .6 beats .4, .8 beats .4 and ties with .8
    assert numbers(first["P(better)"])[0] == round((2 / 4 + 2.5 / 4) / 2, 2)
    assert second["P(better)"] == "reference"
    # means .3 and .3 tie, .7 beats .6
    assert numbers(first["mean rank"])[0] == 1.25 and numbers(second["mean rank"])[0] == 1.75
    assert first["asked"] == "2/2 tasks" and first["in / planned"] == "4/4"
    assert first["parameters"] == "100" and first["training FLOPs"] == "1 G"


def test_solved_runs_have_wilson_s_interval() -> None:
    """0.95 is nine tenths of the way from chance, 0.94 is not: 2 of 4 runs."""
    (found,) = main_tables(make_campaign(by_seed("a", {0: 0.95, 1: 0.94, 2: 1.0, 3: 0.5})), "a")
    wanted = stats.binomtest(2, 4).proportion_ci(method="wilson")
    text = line(found, method="a")["solved (≥ 90 %)"]
    assert text == f"2/4 0.50 [{wanted.low:.2f}, {wanted.high:.2f}]"


def test_failures_count_as_chance_and_a_second_table_leaves_them_out() -> None:
    found = main_tables(make_campaign(by_seed("a", {0: 0.7, 1: None, 2: 0.9})), "a")
    inside, outside = (line(one, method="a") for one in found)
    assert [one.name for one in found] == ["main", "main-without-failures"]
    assert numbers(inside["mean, these tasks"])[0] == 0.4  # (.4 + 0 + .8) / 3
    assert numbers(outside["mean, these tasks"])[0] == 0.6
    assert inside["failed"] == outside["failed"] == "1" and inside["in / planned"] == "3/3"
    assert "1 failed or diverged trial(s) count as chance" in found[0].notes[-1]
    assert "1 failed or diverged trial(s) left out" in found[1].notes[-1]


def test_a_row_that_was_not_asked_everything_has_its_coverage_and_no_aggregate() -> None:
    records = [*two_tasks(), *by_seed("part", {0: 1.0, 1: 1.0})]
    (found,) = main_tables(make_campaign(records), "b")
    last = line(found, method="part")
    assert last["asked"] == "1/2 tasks" and last["IQM, these tasks"] == last["mean rank"] == ""
    assert list(found.frame["method"])[-1] == "part"
    assert any(note.startswith("1 row(s) without aggregates") for note in found.notes)


def test_an_unsupported_task_was_not_asked() -> None:
    odd = [broken(make_trial("part", seed, "other"), "unsupported") for seed in (0, 1)]
    records = [*two_tasks(), *by_seed("part", {0: 1.0, 1: 1.0}), *odd]
    found = main_tables(make_campaign(records), "b")
    assert len(found) == 1, "unsupported is no failure"
    assert line(found[0], method="part")["asked"] == "1/2 tasks"


def test_a_task_that_is_not_all_in_is_left_out_and_named() -> None:
    records = [r for r in two_tasks() if (r.trial.row, r.trial.question) != ("b", "other")]
    missing = [make_trial("b", seed, "other") for seed in (0, 1)]
    (found,) = main_tables(make_campaign(records, missing), "b")
    assert found.title == "Main leaderboard over 1 task(s)"
    assert "Left out, since not all of it is in: other" in found.notes
    assert numbers(line(found, method="a")["mean, these tasks"])[0] == 0.3
    assert line(found, method="b")["in / planned"] == "2/4"


def test_a_seed_counts_for_a_task_once_all_its_lengths_are_in() -> None:
    """Seed 1 lacks length 16: the mean is seed 0's (.2 + .6)/2, whatever seed 1 scored at 8."""
    records = [*by_seed("a", {0: 0.6, 1: 1.0}), *by_seed("a", {0: 0.8}, length=16)]
    (found,) = main_tables(make_campaign(records, [make_trial("a", 1, length=16)]), "a")
    assert line(found, method="a")["mean, these tasks"] == "0.400"


def test_ranks_and_wins_pair_by_seed_where_a_seed_is_missing() -> None:
    """Shared seeds 0 and 2: a wins both there; b's seed 1 and a's seed 3 do not enter."""
    a, b = {0: 0.6, 2: 0.8, 3: 0.5}, {2: 0.7, 1: 1.0, 0: 0.55}
    (found,) = main_tables(make_campaign([*by_seed("b", b), *by_seed("a", a)]), "b")
    mine = line(found, method="a")
    assert numbers(mine["P(better)"])[0] == 0.75  # .2 beats .1, .6 beats .1 and .4
    assert numbers(mine["mean rank"])[0] == 1


def test_the_longest_length_is_told_over_the_trained_one() -> None:
    """Seed 0 holds to 16 of 8 trained, seed 1 to 8: median 1.5."""
    records = []
    for seed, far in enumerate((0.92, 0.8)):
        of = make_trial("a", seed, test_lengths=(8, 16, 32))
        records.append(make_record(of, {(8, 0): 1.0, (16, 0): far, (32, 0): 0.5}))
    (found,) = main_tables(make_campaign(records), "a")
    assert line(found, method="a")["longest L / trained"] == "1.50 [1.00, 2.00]"


def test_one_seed_of_one_task_says_what_it_can() -> None:
    found, *_ = main_tables(make_campaign(by_seed("a", {0: 0.9})), "a")
    assert line(found, method="a")["IQM, these tasks"] == "0.800"
    assert "One seed: no interval over seeds" in found.notes
    assert "One task: nothing is told of tasks like these" in found.notes


# ---- pairs -------------------------------------------------------------------------------------


def test_differences_pair_by_seed_never_by_place() -> None:
    """Shared seeds 0, 2, 4: gains of 10, 5 and 30 points."""
    a = {4: 0.9, 0: 0.7, 1: 1.0, 2: 0.65}
    b = {0: 0.6, 2: 0.6, 3: 0.99, 4: 0.6}
    (found,) = pair_tables(make_campaign([*by_seed("a", a), *by_seed("b", b)]), "b")
    mine = line(found, method="a")
    low, high = stats.t.interval(0.95, 2, loc=15, scale=stats.sem([10, 5, 30]))
    assert mine["difference, points"] == f"+15.00 [{low:+.2f}, {high:+.2f}]"
    assert mine["pairs"] == "3" and "p" not in found.frame.columns
    assert "Under five seeds no p-value is printed" in found.notes[0] and "0.0625" in found.notes[0]


def test_p_values_by_hand_and_holm_within_a_task_s_family() -> None:
    """Five gains of one sign: 2 of 32 patterns; four comparisons (two rows, two lengths).

    1 − 2 + 3 − 4 + 5 is 3, and six sign patterns of these have a sum of ±1: 26 of 32 are as far
    from 0.
    """
    gains = {"b": [0] * 5, "better": [1, 2, 3, 4, 5], "mixed": [1, -2, 3, -4, 5]}
    records = [
        one
        for length in (8, 16)
        for row, points in gains.items()
        for one in by_seed(
            row, {seed: 0.6 + gain / 100 for seed, gain in enumerate(points)}, length=length
        )
    ]
    (found,) = pair_tables(make_campaign(records), "b")
    better, mixed = (line(found, method=row, L="8") for row in ("better", "mixed"))
    assert better["p"] == better["p Wilcoxon"] == "0.0625" and better["p Holm"] == "0.250"
    assert mixed["p"] == f"{26 / 32:.3f}" and mixed["p Holm"] == "1.000"
    assert "(4 comparisons a task)" in found.notes[0]


def test_over_the_tasks_every_task_counts_once() -> None:
    """a less b, normalised: mean of (.3 − .3) and (.7 − .6)."""
    found = table(pair_tables(make_campaign(two_tasks()), "b"), "pairs-over-tasks")
    mine = line(found, method="a")
    assert numbers(mine["difference, these tasks"])[0] == 0.05
    assert mine["tasks"] == "2/2" and mine["pairs"] == "2" and "p" not in found.frame.columns


def test_a_failed_seed_is_at_chance_in_its_pair_and_told() -> None:
    a, b = {0: 0.9, 1: None, 2: 0.8}, {0: 0.6, 1: 0.6, 2: 0.6}
    (found,) = pair_tables(make_campaign([*by_seed("a", a), *by_seed("b", b)]), "b")
    mine = line(found, method="a")
    assert numbers(mine["difference, points"])[0] == pytest.approx((30 - 10 + 20) / 3, abs=0.01)
    assert mine["method, %"].endswith("(1 failed)")


def test_where_all_failed_the_status_stands() -> None:
    gone = make_campaign([*by_seed("a", {0: None, 1: None}), *by_seed("b", {0: 0.6, 1: 0.7})])
    assert line(pair_tables(gone, "b")[0], method="a")["method, %"] == "error"
    tables = leaderboard(gone.trials, gone.records, gone.registry)
    assert line(table(tables, "leaderboard-parity-token"), method="a")["L=8"] == "error"
    assert line(
        table(failure_tables(gone, "b"), "failures"), status="error", trial="parity-a-L8-s1"
    )


def test_without_the_reference_the_first_row_stands_in_and_is_told() -> None:
    (found,) = pair_tables(
        make_campaign([*by_seed("a", {0: 0.6}), *by_seed("b", {0: 0.7})]), "none"
    )
    assert found.title.startswith("Paired differences to a")
    assert "No row none in this campaign: the reference is a" in found.notes


# ---- the paper's Table 2 -----------------------------------------------------------------------


def paper_records(lengths: Sequence[int], scores: Mapping[str, float]) -> list[Record]:
    """transformer and eqt, two seeds that differ by two points; ten more at K = 32."""
    records = []
    for length in lengths:
        for seed in (0, 1):
            for row, share in scores.items():
                budgets = (0,) if row == "transformer" else (0, 8, 32)
                of = make_trial(row, seed, length=length, method=row, variant="")
                cells = {(length, k): share + 0.02 * seed + (k == 32) / 10 for k in budgets}
                records.append(make_record(of, cells))
    return records


def test_the_published_table_is_the_paper_s() -> None:
    """The mean gain from 64 on is the paper's +3.28, and K = 8 less Standard is its column."""
    rows = published()
    assert list(rows) == [8, 16, 32, 48, 64, 96, 128, 192, 256]
    gains = [float(row["delta"]) for length, row in rows.items() if length >= 64]
    assert np.mean(gains) == pytest.approx(3.28, abs=0.005)
    for row in rows.values():
        gain = float(row["eqt_k8"]) - float(row["standard"])
        assert gain == pytest.approx(float(row["delta"]), abs=0.0101)  # both were rounded


def test_the_paper_s_table_has_ours_beside_the_published() -> None:
    records = paper_records([8, 20], {"transformer": 0.75, "eqt": 0.8})
    (found,) = paper_tables(make_campaign(records), "transformer")
    mine = line(found, L="8")
    assert numbers(mine["Standard, ours"])[0] == 76 and numbers(mine["EqT K=32, ours"])[0] == 91
    assert mine["Δ, ours"] == "+5.00 [+5.00, +5.00]" and mine["pairs"] == "2"
    assert mine["regime, ours"] == "medium" and mine["regime, published"] == "easy"
    assert mine["EqT K=8, published"] == "100.00"
    assert line(found, L="64")["Standard, ours"] == "not run"
    assert line(found, L="64")["Δ, published"] == "4.66"
    assert line(found, L="20")["Standard, published"] == "not published"
    assert "width 8, depth 1" in found.title and "one seed, no interval" in found.notes[0]


def test_without_eqt_there_is_no_paper_table() -> None:
    assert paper_tables(make_campaign(paper_records([8], {"transformer": 0.7})), "x") == []
    assert paper_tables(open_campaign(REFERENCE / "anchors"), "transformer") == []


# ---- compute -----------------------------------------------------------------------------------


def spending(row: str, method: str, parameters: int, flops: float, **given: Any) -> list[Record]:
    """Two seeds at 0.7 and 0.8 with these costs."""
    told = make_costs(parameters, flops, **given)
    return [
        make_record(make_trial(row, seed, method=method), share, costs=told)
        for seed, share in enumerate((0.7, 0.8))
    ]


def test_a_row_is_matched_by_the_family_s_row_of_nearest_cost() -> None:
    records = [
        *spending("transformer", "transformer", 100, 1e9),
        *spending("transformer-deep", "transformer", 150, 1.5e9),
        *spending("rival", "gru", 110, 1.6e9),
        *spending("small", "gru", 10, 1e8),
        *spending("large", "gru", 1000, 1e10),
    ]
    found = table(compute_tables(make_campaign(records), "transformer"), "compute")
    rival = line(found, method="rival")
    by_training = rival["transformer family at its training FLOPs"]
    assert by_training.endswith("(transformer-deep, 0.94×)") and by_training.startswith("75.00")
    assert rival["at its parameters"].endswith("(transformer, 0.91×)")
    assert rival["parameters"] == "110 (1.10×)" and rival["training FLOPs"] == "1.6 G (1.60×)"
    for row in ("small", "large"):
        assert line(found, method=row)["at its parameters"] == "none within 25 %"
    assert line(found, method="transformer")["at its parameters"] == "of the family"


def test_seconds_stand_only_where_the_device_was_not_shared() -> None:
    alone = spending("a", "gru", 100, 1e9)
    place = {"device_name": "Abacus", "threads": 1, "jobs": 2}
    shared = [replace(r, environment=place) for r in spending("b", "gru", 100, 1e9)]
    found = table(compute_tables(make_campaign([*alone, *shared]), "a"), "compute")
    assert line(found, method="a")["training s"] == "2.0"
    assert line(found, method="b")["training s"] == line(found, method="b")["us/token"] == ""
    assert any(
        note.startswith("Seconds are blank where the device was shared, 1") for note in found.notes
    )
    assert line(found, method="b")["FLOPs/answer"] == "10 (1.00×)"


def test_compute_to_target_has_misses_at_infinity() -> None:
    """The target is .5 + .9 · .5; looks at 2, 4, 6, 8 of 8 steps of 1 G: half, all, never."""
    curves = ([0.6, 0.95, 1, 1], [0.6, 0.6, 0.6, 0.96], [0.6, 0.6, 0.9, 0.9499])
    records = [
        replace(
            make_record(make_trial("a", seed)),
            curves={"validation_step": [2, 4, 6, 8], "validation_accuracy": list(curve)},
        )
        for seed, curve in enumerate(curves)
    ]
    records.append(broken(make_trial("b", 0)))
    found = table(compute_tables(make_campaign(records), "a"), "compute-to-target")
    mine = line(found, method="a")
    assert mine["target, %"] == "95.00" and mine["reached"] == "2/3" and mine["looks"] == "4"
    assert mine["FLOPs to target"] == "1 G (1.00×)" and mine["fastest"] == "500 M"
    assert mine["slowest"] == "not reached"
    assert line(found, method="b")["FLOPs to target"] == "not reached"


def test_the_best_at_each_cost_is_marked_the_cheapest_first() -> None:
    told = make_costs(answer_flops_per_token={"0": 10.0, "1": 20.0, "2": 30.0})
    of = make_trial("a", 0)
    shares = {(8, 0): 0.6, (8, 1): 0.6, (8, 2): 0.9}
    other = make_record(
        make_trial("b", 0), 0.7, costs=make_costs(answer_flops_per_token={"0": 25.0})
    )
    found = table(
        compute_tables(make_campaign([make_record(of, shares, costs=told), other]), "a"),
        "compute-anytime-parity",
    )
    assert [*found.frame["method"]] == ["a", "a", "b", "a"]
    assert [*found.frame["best so far"]] == ["best", "", "best", "best"]


def test_flops_of_a_copied_row_count_all_its_positions() -> None:
    """A causal net reads the cells of ca_steps first and answers on a copy of them."""
    registry = Registry()
    task = registry.task("ca_steps")(width=8)
    length = task.lengths[0]
    asked = task.form(True)
    assert asked is not None
    batch = asked.sample(1, length, 0, "test").to("cpu")
    width, scored = batch.inputs.shape[1], int(batch.mask.sum())
    assert width > task.positions(length), "a causal method is shown the row first"
    of = make_trial("gru", task="ca_steps", task_options=dict(task.options()), length=length)
    place = ["test", length, 0, "all", 0]
    metrics = [[*place, "token", ROWS * scored, 0], [*place, "sequence", ROWS, 0]]
    found = make_record(of, metrics=metrics)
    assert flops_per_row(found, registry) == {0: 10.0 * width}
    assert flops_per_answer(found, registry) == {0: pytest.approx(10.0 * width / scored)}


def test_the_cost_table_stars_another_form() -> None:
    tour = open_campaign(REFERENCE / "tour")
    trials = [t for t in tour.trials if t.question in ("sudoku", "copy")]
    records = [r for r in tour.records if r.trial.question in ("sudoku", "copy")]
    tables = leaderboard(trials, records, tour.registry)
    cells = line(table(tables, "leaderboard-sudoku-costs"), method="gru")
    assert cells["FLOPs/token"].endswith(" *") and not cells["FLOPs/row"].endswith("*")
    plain = table(tables, "leaderboard-copy-costs")
    assert not line(plain, method="gru")["FLOPs/token"].endswith("*")
    assert not any("another form" in note for note in plain.notes)


# ---- captions, bad input ------------------------------------------------------------------------


def test_missing_trials_are_counted_by_row() -> None:
    records = by_seed("a", {0: 0.6, 1: None})
    found = failure_tables(make_campaign(records, [make_trial("a", 2)]), "a")
    assert line(found[0], method="a") == {
        "method": "a",
        "planned": "3",
        "ok": "1",
        "error": "1",
        "missing": "1",
    }
    assert list(found[1].frame["reason"]) == ["it broke"]


def test_every_caption_says_rows_seeds_preset_and_device() -> None:
    made = make_campaign([*two_tasks(), *paper_records([8], {"transformer": 0.7, "eqt": 0.7})])
    tables = [one for maker in MAKERS for one in maker(made, "transformer")]
    tables += leaderboard(made.trials, made.records, made.registry)
    assert len(tables) > 8
    for one in tables:
        told = " ".join(one.notes)
        for words in ("n = 100 test rows", "2 seed(s) planned", "preset by-hand", "on Abacus"):
            assert words in told, one.name


CRACKED = {
    "one seed of one row": by_seed("a", {0: 0.6}),
    "all failed": [*by_seed("a", {0: None, 1: None}), *by_seed("b", {0: None, 1: None})],
    "all unsupported": [broken(make_trial(row), "unsupported") for row in ("a", "b")],
    "no metrics": [make_record(make_trial(row), metrics=[]) for row in ("a", "b")],
    "no costs": [make_record(make_trial(row), costs={}) for row in ("a", "b")],
    "another task's plug-in": [make_record(make_trial(row, task="gone")) for row in ("a", "b")],
    "another method's plug-in": [make_record(make_trial(row, method="gone")) for row in ("a", "b")],
}


@pytest.mark.parametrize("records", CRACKED.values(), ids=CRACKED)
def test_bad_input_gives_tables_that_render(records: list[Record]) -> None:
    made = make_campaign(records, [make_trial("never", 0)])
    tables = [one for maker in MAKERS for one in maker(made, "transformer")]
    assert {"main", "standing"} <= {one.name for one in tables}
    for one in tables:
        for form in FORMATS:
            assert one.render(form)
            assert "nan" not in one.render("csv")


HOSTILE = (
    "a&b%c$d#e_f{g}h~i^j\\k",
    "<script>alert(1)</script>",
    "[x] first",
    "* star | bar",
    "ünï — ≥ γ² 中 🙂",
    "name\twith\nbreaks",
    "long-" + "w" * 200 + "-end",
    '--dash `tick` "quote"',
)


@pytest.fixture(scope="module")
def hostile() -> list[Table]:
    """All tables of a campaign whose rows and tasks are called anything."""
    records = [
        record
        for place, row in enumerate(HOSTILE)
        for question in ("parity", *HOSTILE[:2])
        for record in by_seed(row, {0: 0.6 + place / 100, 1: 0.7}, question)
    ]
    records += [broken(make_trial(row, 2), reason=f"{row}: broke & burnt") for row in HOSTILE]
    made = make_campaign(records)
    tables = [one for maker in MAKERS for one in maker(made, HOSTILE[0])]
    return tables + leaderboard(made.trials, made.records, made.registry)


def test_html_holds_hostile_names_as_text(hostile: list[Table]) -> None:
    for one in hostile:
        page = one.render("html")
        assert "<script" not in page and page.count("<table") == page.count("</table>") == 1
        assert page.count("<caption>") == 1 and page.count("<tr>") == len(one.frame) + 1
    assert any("&lt;script&gt;" in one.render("html") for one in hostile)


def test_markdown_holds_hostile_names_in_their_cells(hostile: list[Table]) -> None:
    for one in hostile:
        body = [text for text in one.render("md").splitlines() if text.startswith("|")]
        bars = {text.replace("\\|", "").count("|") for text in body}
        assert bars == {one.frame.shape[1] + 1} and not any("<script" in text for text in body)


def test_names_are_cut_but_in_csv(hostile: list[Table]) -> None:
    one = table(hostile, "main")
    for form in ("md", "text", "latex"):
        assert HOSTILE[6] not in one.render(form)
    assert HOSTILE[6] in one.render("csv")


def test_hostile_names_compile(hostile: list[Table], tmp_path: Path) -> None:
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed")
    body = "\n\\clearpage\n".join(one.render("latex") for one in hostile)
    head = "\\documentclass{article}\\usepackage{booktabs,graphicx}\\begin{document}"
    (tmp_path / "t.tex").write_text(f"{head}\n{body}\n\\end{{document}}\n")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True)
    log = done.stdout.decode(errors="replace")
    assert done.returncode == 0, log[-2000:]
    assert "multiply defined" not in log and "Float too large" not in log
