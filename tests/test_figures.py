"""The figures of scores and costs: what is drawn is what a hand computes, and it can be read."""

from __future__ import annotations

import functools
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tiny
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.colors import same_color
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from closedloop.bench.campaign import Campaign
from closedloop.bench.figures.anytime import anytime
from closedloop.bench.figures.figure import Drawing, Maker, Missing, save
from closedloop.bench.figures.lengths import lengths
from closedloop.bench.figures.paper import paper
from closedloop.bench.figures.profiles import profiles
from closedloop.bench.figures.ranks import cliques, ranks
from closedloop.bench.figures.rows import labels, plain, shown, stem
from closedloop.bench.figures.style import COLUMN, PAGE, styled
from closedloop.bench.figures.training import training, windows
from closedloop.bench.registry import Registry
from closedloop.bench.stats.aggregate import performance_profile
from closedloop.bench.stats.intervals import seed_interval
from closedloop.bench.store import Store
from closedloop.bench.trial import Record, Trial

TRIAL = replace(tiny.TRIAL, evaluate={"rows": 100, "iterations": [0]})
LEVELS = {"chance": 0.5, "shortcut": 0.6}
RULES = {"majority": [["all", "", "token", 1000, 550], ["all", "", "sequence", 100, 10]]}
MAKERS: list[Maker] = [lengths, anytime, training, paper, profiles, ranks]
T2 = 4.302652729911275
"""The 97.5 % quantile of Student's t with two degrees of freedom, from a printed table: 4.3027."""

Scores = Mapping[tuple[int, int], float]
"""(test length, budget) -> share of tokens right; the share of whole sequences is its square."""


def trial(method: str = "transformer", seed: int = 0, length: int = 8, **fields: Any) -> Trial:
    """A trial of a row, tested at the length it is trained at unless said otherwise."""
    tests = fields.pop("test_lengths", (length,))
    return replace(TRIAL, method=method, seed=seed, length=length, test_lengths=tests, **fields)


def record(
    of: Trial,
    scores: Scores | float,
    trained: int = 0,
    flops: float = 1000.0,
    curves: Mapping[str, Sequence[float | None]] | None = None,
) -> Record:
    """A record by hand: 1000 tokens and 100 rows a length; flops · (1 + K) a token."""
    found = {(of.length, 0): scores} if isinstance(scores, float) else scores
    metrics = [
        ["test", length, budget, "all", "", name, n, n * share]
        for (length, budget), right in found.items()
        for name, n, share in (("token", 1000, right), ("sequence", 100, right**2))
    ]
    return Record(
        trial=of,
        status="ok",
        metrics=metrics,
        curves=curves or {},
        costs={
            "parameters": 10,
            "trained_iterations": trained,
            "steps": 40,
            "train_flops": 4e6,
            "answer_flops_per_token": {str(k): flops * (1 + k) for _, k in found},
        },
        data={str(n): {"levels": LEVELS, "rules": RULES} for n in of.test_lengths},
        environment={"device_name": "a machine"},
    )


def campaign(records: Iterable[Record], planned: Sequence[Trial] = ()) -> Campaign:
    """The campaign of these records, and of trials that are not in."""
    found = list(records)
    trials = [*(one.trial for one in found), *planned]
    trials.sort(key=lambda one: one.name)
    return Campaign(Store("nowhere"), "tiny", trials, found, Registry())


def one_drawing(maker: Maker, of: Campaign, name: str) -> Drawing:
    """The drawing of a name."""
    (found,) = [d for d in maker(of, "transformer") if isinstance(d, Drawing) and d.name == name]
    return found


def points(axes: Axes) -> list[list[tuple[float, float]]]:
    """What every line of the axes goes through."""
    return [points_of(line) for line in axes.lines]


def points_of(line: Any) -> list[tuple[float, float]]:
    """The places of one line, rounded as `near` does."""
    return [(near(x), near(y)) for x, y in line.get_xydata()]


def near(value: float) -> float:
    """Nine decimals: what rounding of a dozen operations in doubles does not reach."""
    return round(float(value), 9)


def band(axes: Axes, x: float) -> list[tuple[float, float]]:
    """Lower and upper edge of every band at a place."""
    found = []
    for one in axes.collections:
        if isinstance(one, PolyCollection) and one.get_paths():
            vertices = np.asarray(one.get_paths()[0].vertices)
            there = vertices[np.isclose(vertices[:, 0], x), 1]
            found += [(float(there.min()), float(there.max()))] if len(there) else []
    return found


def close(values: Iterable[float]) -> Any:
    """Equal up to rounding of a dozen operations in doubles."""
    return pytest.approx(list(values), rel=1e-9, abs=1e-9)


# ---- accuracy over length --------------------------------------------------------------------


def test_a_model_a_length_is_drawn_at_every_trained_length() -> None:
    shares = {8: [0.6, 0.7, 0.8], 16: [0.5, 0.5, 0.53]}
    of = campaign(
        record(trial(seed=seed, length=length), share)
        for length, row in shares.items()
        for seed, share in enumerate(row)
    )
    drawing = one_drawing(lengths, of, "lengths-parity")
    token, sequence = drawing.figure.axes
    assert [(8, near(70)), (16, near(51))] in points(token)
    means = [100 * (0.36 + 0.49 + 0.64) / 3, 100 * (0.25 + 0.25 + 0.2809) / 3]
    assert [(8, near(means[0])), (16, near(means[1]))] in points(sequence)
    half = T2 * 10 / 3**0.5
    assert band(token, 8) == [close([70 - half, 70 + half])]
    interval = seed_interval([50.0, 50.0, 53.0], 0, 100)
    assert band(token, 16) == [close([interval.low, interval.high])]
    line = drawing.data.query("metric == 'token' and method == 'transformer' and length == 8")
    assert list(line[["mean", "low", "high", "seeds"]].iloc[0]) == close(
        [70, 70 - half, 70 + half, 3]
    )


def test_an_interval_of_a_share_stays_between_nothing_and_all() -> None:
    of = campaign(
        record(trial(seed=seed, length=length), share)
        for length in (8, 16)
        for seed, share in enumerate([0.0, 1.0, 1.0])
    )
    (limits,) = band(one_drawing(lengths, of, "lengths-parity").figure.axes[0], 8)
    assert limits == (0, 100)


def test_longer_rows_than_trained_are_drawn_with_chance_rule_and_trained_length() -> None:
    tests = {"length": 8, "test_lengths": (8, 16, 64)}
    of = campaign(
        record(trial(seed=seed, **tests), {(8, 0): 1.0, (16, 0): 0.8, (64, 0): 0.5})
        for seed in (0, 1)
    )
    drawing = one_drawing(lengths, of, "lengths-parity-from-8")
    token, sequence = drawing.figure.axes
    assert [(8, 100), (16, 80), (64, 50)] in points(token)
    assert [(8, 50), (16, 50), (64, 50)] in points(token)  # chance
    assert [(8, 55), (16, 55), (64, 55)] in points(token)  # the majority rule
    assert [(8, 10), (16, 10), (64, 10)] in points(sequence)
    assert all(y != 50 for line in points(sequence) for _, y in line)  # chance is the token's
    assert [(8, 0), (8, 1)] in points(token)  # the trained length, over the whole height
    assert token.get_xscale() == "log"
    assert [text.get_text() for text in token.get_xticklabels()] == ["8", "16", "64"]


def test_a_range_of_trained_lengths_is_shaded() -> None:
    fields = {"length": 9, "test_lengths": (9, 17), "train_lengths": (2, 9)}
    of = campaign([record(trial(**fields), {(9, 0): 1.0, (17, 0): 0.9})])
    drawing = one_drawing(lengths, of, "lengths-parity-from-9")
    (shade,) = drawing.figure.axes[0].patches
    assert (shade.get_x(), shade.get_width()) == (2, 7)  # type: ignore[attr-defined]
    assert "L=2…9" in drawing.title


def test_a_failed_trial_is_drawn_at_chance_and_told() -> None:
    good = [record(trial(length=length), 0.9) for length in (8, 16)]
    bad = Record(trial=trial(seed=1, length=8), status="error", reason="broke")
    drawing = one_drawing(lengths, campaign([*good, bad]), "lengths-parity")
    assert [(8, near(70)), (16, near(90))] in points(drawing.figure.axes[0])
    assert "failed and diverged trials count as chance" in drawing.caption


def test_one_test_length_is_no_curve() -> None:
    (missing,) = lengths(campaign([record(trial(), 0.9)]), "transformer")
    assert isinstance(missing, Missing) and "parity" in missing.reason


# ---- the anytime curve -----------------------------------------------------------------------


def loop(seed: int, scale: float = 1.0) -> Record:
    """A closed loop trained with two iterations."""
    shares = {(8, 0): 0.5, (8, 1): 0.6 * scale, (8, 2): 0.8 * scale, (8, 4): 0.9 * scale}
    return record(trial("deq", seed), shares, trained=2, flops=3000.0)


def test_budgets_stand_at_their_flops_and_the_trained_one_is_filled() -> None:
    seeds = [loop(0), loop(1), loop(2, 0.9)]
    still = [record(trial("gru", seed), 0.95, flops=500.0) for seed in range(3)]
    drawing = one_drawing(anytime, campaign([*seeds, *still]), "anytime-parity")
    flops, budgets = drawing.figure.axes
    means = [50, 100 * 0.6 * 2.9 / 3, 100 * 0.8 * 2.9 / 3, 100 * 0.9 * 2.9 / 3]
    curve = [(3000 * (1 + k), near(y)) for k, y in zip((0, 1, 2, 4), means, strict=True)]
    assert curve in points(flops)
    assert [(k, y) for k, (_, y) in zip((0, 1, 2, 4), curve, strict=True)] in points(budgets)
    assert [(500, near(95))] in points(flops) and flops.get_xscale() == "log"
    half = T2 * float(np.std([80, 80, 72], ddof=1)) / 3**0.5
    assert band(flops, 9000) == [close([means[2] - half, means[2] + half])]
    (filled,) = [
        line
        for line in flops.lines
        if points_of(line) == [curve[2]] and same_color(line.get_color(), line_colour(flops, curve))
    ]
    assert same_color(filled.get_markerfacecolor(), filled.get_color())
    (hollow,) = [line for line in flops.lines if points_of(line) == curve]
    assert same_color(hollow.get_markerfacecolor(), "white")


def line_colour(axes: Axes, curve: Any) -> Any:
    """The colour of the line through these places."""
    return next(line.get_color() for line in axes.lines if points_of(line) == curve)


def test_rows_without_flops_are_left_out_and_told() -> None:
    bare = [replace(record(trial("gru"), 0.9), costs={"trained_iterations": 0})]
    drawing = one_drawing(anytime, campaign([loop(0), *bare]), "anytime-parity")
    assert set(drawing.data["method"]) == {"deq", "(chance)"}
    assert "without FLOPs, not drawn: gru" in drawing.caption
    nothing = replace(loop(0), costs={"trained_iterations": 2})
    (missing,) = anytime(campaign([nothing]), "transformer")
    assert isinstance(missing, Missing) and "no FLOPs" in missing.reason


def test_at_most_four_trained_lengths_share_a_drawing() -> None:
    of = campaign(
        record(trial("deq", length=n), {(n, 0): 0.5, (n, 2): 0.9}) for n in (8, 16, 32, 48, 64, 96)
    )
    drawing = one_drawing(anytime, of, "anytime-parity")
    titles = [axes.get_title("left") for axes in drawing.figure.axes[::2]]
    assert titles == ["L=8", "L=32", "L=48", "L=96"]
    assert "2 trained length(s) not drawn" in drawing.caption


# ---- training curves -------------------------------------------------------------------------


def test_a_loss_is_the_mean_of_a_hundredth_of_the_training() -> None:
    at, smooth = windows(np.arange(400.0))
    assert len(at) == 100
    assert list(at[:2]) == [2.5, 6.5] and list(smooth[:2]) == [1.5, 5.5]
    at, smooth = windows(np.array([3.0, 1.0, 2.0]))
    assert list(at) == [1, 2, 3] and list(smooth) == [3, 1, 2]
    assert all(len(part) == 0 for part in windows(np.array([])))


def test_training_is_the_median_and_range_of_seeds_over_updates_and_flops() -> None:
    def curves(shift: float) -> dict[str, Sequence[float | None]]:
        return {
            "loss": [1.0 + shift, 0.5 + shift, 0.25 + shift],
            "validation_step": [20, 40],
            "validation_accuracy": [0.6 + shift, 0.8 + shift],
        }

    of = campaign(
        record(trial(seed=seed), 0.9, curves=curves(shift))
        for seed, shift in enumerate([0.0, 0.02, 0.1])
    )
    updates = one_drawing(training, of, "training-parity").figure.axes
    flops = one_drawing(training, of, "training-flops-parity").figure.axes
    assert points(updates[0]) == [[(1, 1.02), (2, 0.52), (3, 0.27)]]
    assert band(updates[0], 2) == [(0.5, 0.6)]
    assert points(updates[1]) == [[(20, near(62)), (40, near(82))]]
    assert points(flops[1]) == [[(2e6, near(62)), (4e6, near(82))]]
    assert band(flops[1], 2e6) == [close([60, 70])]


def test_a_net_that_was_validated_once_has_no_validation_curve() -> None:
    curves = {"loss": [1.0, None, 0.5], "validation_step": [40], "validation_accuracy": [1.0]}
    drawing = one_drawing(
        training, campaign([record(trial(), 0.9, curves=curves)]), "training-parity"
    )
    (axes,) = drawing.figure.axes
    assert points(axes) == [[(1, 1.0), (3, 0.5)]] and "validated once" in drawing.caption
    (missing,) = training(campaign([record(trial(), 0.9)]), "transformer")
    assert isinstance(missing, Missing)


# ---- the paper's figure ----------------------------------------------------------------------

STANDARD = {8: [0.99, 0.97, 0.98], 16: [0.5, 0.6, 0.7]}
EQUILIBRIUM = {8: [0.97, 0.98, 0.99], 16: [0.8, 0.8, 0.9]}
LOSS = {"loss": [0.7, 0.6, 0.5]}


def duel() -> list[Record]:
    """EqT, scored at the paper's budget and at its own, against the standard model."""
    found = []
    for length, row in STANDARD.items():
        found += [record(trial(seed=s, length=length), x, curves=LOSS) for s, x in enumerate(row)]
    for length, row in EQUILIBRIUM.items():
        found += [
            record(
                trial("eqt", s, length),
                {(length, 0): 0.5, (length, 2): 0.55, (length, 8): x},
                trained=2,
                curves=LOSS,
            )
            for s, x in enumerate(row)
        ]
    return found


def test_figure_1_pairs_gains_by_seed_and_sorts_lengths_both_ways() -> None:
    drawing = one_drawing(paper, campaign(duel()), "paper-figure-1-parity")
    accuracy, gain, loss, regime = drawing.figure.axes
    assert [(8, near(98)), (16, near(60))] in points(accuracy)
    assert [(8, near(98)), (16, near(250 / 3))] in points(accuracy)
    gains = {8: [-2, 1, 1], 16: [30, 20, 20]}
    told = drawing.data[drawing.data["panel"] == "b"].set_index("length")
    for length, values in gains.items():
        half = T2 * float(np.std(values, ddof=1)) / 3**0.5
        mean = sum(values) / 3
        assert list(told.loc[length, ["mean", "low", "high"]]) == close(
            [mean, mean - half, mean + half]
        )
    (drawn,) = [line for line in points(gain) if len(line) == 2 and line[0][0] == 8]
    assert drawn == [(8, near(0)), (16, near(70 / 3))]
    assert [line[0] for line in points(loss)] == [(1, 0.7), (1, 0.7)]
    table = drawing.data[drawing.data["panel"] == "d"].set_index(["binned_by", "regime"])["mean"]
    assert table["reference", "easy"] == pytest.approx(0, abs=1e-9)
    assert table["reference", "hard"] == pytest.approx(70 / 3)  # 60 % by the reference
    assert table["mean", "medium"] == pytest.approx(70 / 3)  # 71.7 % by the mean of both
    assert math.isnan(table["reference", "medium"]) and math.isnan(table["mean", "hard"])
    assert "K=8" in drawing.caption and "3 seed(s)" in drawing.caption
    assert [text.get_text().split("\n")[0] for text in regime.get_xticklabels()] == [
        "easy",
        "medium",
        "hard",
    ]


def test_figure_1_is_missing_with_its_reason() -> None:
    pair = duel()
    short = [one for one in pair if one.trial.length == 8]
    lone = [one for one in pair if one.trial.method == "eqt"]
    for records, reason in (
        (short, "two or more trained lengths"),
        (lone, "no row transformer"),
        ([record(trial(), 0.9)], "no row of eqt"),
    ):
        (missing,) = paper(campaign(records), "transformer")
        assert isinstance(missing, Missing) and reason in missing.reason


def test_figure_1_without_training_curves_leaves_that_panel_out() -> None:
    bare = [replace(one, curves={}) for one in duel()]
    drawing = one_drawing(paper, campaign(bare), "paper-figure-1-parity")
    assert [axes.get_title("left") for axes in drawing.figure.axes] == ["(a)", "(b)", "(d)"]
    assert "(c) left out" in drawing.caption


# ---- profiles and ranks ----------------------------------------------------------------------


def grid(values: Mapping[str, Mapping[str, Sequence[float]]]) -> list[Record]:
    """Records of rows by task: parity, and tasks that no plug-in at hand offers."""
    return [
        record(trial(row, seed, task=task, task_options={}), score)
        for row, tasks in values.items()
        for task, scores in tasks.items()
        for seed, score in enumerate(scores)
    ]


def test_a_profile_is_the_share_of_runs_above_a_score() -> None:
    values = {"transformer": {"parity": [0.75, 0.95], "riddle": [0.5, 0.8]}}
    drawing = one_drawing(profiles, campaign(grid(values)), "profile")
    data = drawing.data.set_index(drawing.data["normalised_score"].round(2))
    # normalised by chance 0.5: 0.5 and 0.9 on parity, 0 and 0.6 on riddle
    expected = {0.0: 3 / 4, 0.25: 3 / 4, 0.55: 2 / 4, 0.7: 1 / 4, 0.95: 0}
    assert {x: data["share"][x] for x in expected} == pytest.approx(expected)
    thresholds = list(drawing.data["normalised_score"])
    band_of = performance_profile([[0.5, 0.9], [0.0, 0.6]], thresholds, replicates=2000)
    middle = slice(10, 40)  # away from ties, where rounding decides
    assert list(data["low"])[middle] == list(band_of.low)[middle]
    assert list(data["high"])[middle] == list(band_of.high)[middle]
    (line,) = points(drawing.figure.axes[0])
    assert [y for _, y in line] == [near(y) for y in data["share"]]


def test_compute_to_a_target_counts_misses_as_never() -> None:
    def curves(*accuracies: float) -> dict[str, Sequence[float]]:
        return {"validation_step": [10, 20, 40], "validation_accuracy": accuracies}

    runs = [curves(0.94, 0.95, 0.96), curves(0.5, 0.6, 0.7), curves(0.96, 0.96, 0.96)]
    of = campaign(record(trial(seed=s), 0.9, curves=c) for s, c in enumerate(runs))
    drawing = one_drawing(profiles, of, "compute-to-target")
    # nine tenths of the way from 0.5 to 1 is 0.95; 4e6 FLOPs are 40 updates
    assert list(drawing.data["train_flops"]) == close([1e6 / 1.5, 1e6, 2e6, 3e6])
    assert list(drawing.data["share"]) == close([0, 1 / 3, 2 / 3, 2 / 3])
    low, high = drawing.figure.axes[0].get_xlim()
    ((first, *_, last),) = points(drawing.figure.axes[0])
    assert low < first[0] < 1e6 and 2e6 < last[0] < high


def test_compute_to_a_target_is_missing_where_nets_were_validated_once() -> None:
    once = {"validation_step": [40], "validation_accuracy": [1.0]}
    _, missing = profiles(campaign([record(trial(), 0.9, curves=once)]), "transformer")
    assert isinstance(missing, Missing) and "once" in missing.reason


def test_a_row_that_is_not_in_everywhere_has_no_profile() -> None:
    values = {
        "transformer": {"parity": [0.75, 0.95], "riddle": [0.5, 0.8]},
        "gru": {"parity": [0.9, 0.9]},
    }
    late = [trial("deq", seed, task="riddle", task_options={}) for seed in (0, 1)]
    early = grid({"deq": {"parity": [0.6, 0.6]}})
    of = campaign([*grid(values), *early], late)
    drawing = one_drawing(profiles, of, "profile")
    assert set(drawing.data["method"]) == {"transformer"}
    assert "gru (not planned on every task)" in drawing.caption
    assert "deq (2/4 trials with a score)" in drawing.caption


RANKED = {
    "transformer": {"parity": [0.9, 0.9], "riddle": [0.7, 0.7], "sums": [0.8, 0.8]},
    "eqt": {"parity": [0.8, 0.8], "riddle": [0.8, 0.8], "sums": [0.7, 0.7]},
    "gru": {"parity": [0.7, 0.7], "riddle": [0.6, 0.6], "sums": [0.7, 0.7]},
}


def test_ranks_are_means_over_tasks_best_at_the_top() -> None:
    drawing = one_drawing(ranks, campaign(grid(RANKED)), "ranks")
    # by hand: transformer 1, 2, 1; eqt 2, 1, 2.5; gru 3, 3, 2.5
    assert list(drawing.data["method"]) == ["transformer", "eqt", "gru"]
    assert list(drawing.data["mean_rank"]) == close([4 / 3, 5.5 / 3, 8.5 / 3])
    forest = drawing.figure.axes[0]
    assert points(forest) == [[(near(x), y)] for y, x in enumerate([4 / 3, 5.5 / 3, 8.5 / 3])]
    # Nemenyi's difference, 2.343 sqrt(3 · 4 / (6 · 3)) = 1.91 (Demšar 2006, Table 5): one bar
    assert drawing.figure.axes[1].get_title("right") == "CD 1.9"
    assert list(drawing.data["bars"]) == ["1", "1", "1"]


def test_rows_run_with_other_numbers_of_seeds_are_ranked_all_the_same() -> None:
    """A method that came later with one seed less: its draws do not pair with the others'."""
    fewer = {task: scores[:1] for task, scores in RANKED["gru"].items()}
    drawing = one_drawing(ranks, campaign(grid({**RANKED, "gru": fewer})), "ranks")
    assert list(drawing.data["mean_rank"]) == close([4 / 3, 5.5 / 3, 8.5 / 3])
    assert "drawn apart" in drawing.caption


def test_bars_join_the_widest_stretches_nearer_than_the_difference() -> None:
    assert cliques([1, 2, 3, 5], 1.5) == [(0, 1), (1, 2)]
    assert cliques([1, 2, 3, 5], 2.5) == [(0, 2), (2, 3)]
    assert cliques([1, 3, 5], 2.0) == []
    assert cliques([1, 2, 3], 9.0) == [(0, 2)]


def test_two_rows_or_two_tasks_are_not_ranked() -> None:
    two_rows = {name: RANKED[name] for name in ("transformer", "eqt")}
    two_tasks = {name: {"parity": t["parity"], "sums": t["sums"]} for name, t in RANKED.items()}
    for values in (two_rows, two_tasks):
        (missing,) = ranks(campaign(grid(values)), "transformer")
        assert isinstance(missing, Missing) and "3 rows" in missing.reason


# ---- names and looks -------------------------------------------------------------------------


def test_rows_that_do_not_fit_go_to_further_drawings_with_the_reference() -> None:
    values = pd.Series({f"row{i:02}": i / 100 for i in range(25)} | {"transformer": 0.0})
    parts = shown(values, "transformer")
    assert [len(part) for part in parts] == [10, 10, 8]
    assert all("transformer" in part for part in parts)
    assert parts[0] == [*(f"row{i:02}" for i in range(16, 25)), "transformer"]
    many = pd.Series({f"row{i}": float(i) for i in range(1000)})
    assert sum(len(part) for part in shown(many, "transformer")) == 30
    assert shown(values[:10], "transformer") == [sorted(values.index[:10])]
    assert shown(values[:0], "transformer") == []


def test_long_names_are_shortened_and_stay_apart() -> None:
    names = [f"a-method-with-a-very-long-name-{i}-in-its-middle-and-an-end" for i in range(20)]
    found = labels(names)
    assert len(set(found.values())) == 20
    assert all(len(text) <= 24 for text in found.values())
    assert labels(["gru"]) == {"gru": "gru"}


def test_a_name_is_not_read_as_a_formula() -> None:
    figure = Figure()
    text = figure.text(0, 0, plain("a$x_1$b\n"))
    FigureCanvasAgg(figure).draw()
    shown_text, is_math = text._preprocess_math(text.get_text())  # type: ignore[attr-defined]
    assert (shown_text, is_math) == ("a$x_1$b?", False)


def test_a_file_name_holds_nothing_that_a_file_system_refuses() -> None:
    assert stem("lengths", "ca_steps") == "lengths-ca_steps"
    odd = stem("lengths", "../<a>")
    assert "/" not in odd and "<" not in odd
    assert stem("a/b") != stem("a<b") and len(stem("x" * 500)) < 100


# ---- can it be read --------------------------------------------------------------------------

ODD = "a$b_<script>alert(1)</script>_$c"


def whole(rows: Sequence[str], seeds: int = 3, task: str = "parity") -> Campaign:
    """A campaign that gives every figure: two lengths of one task, one length of two others."""
    found = []
    for i, row in enumerate(rows):
        budgets = [0] if row in ("transformer", "gru") else [0, 1, 2, 4, 8, 16, 32, 64, 128]
        for name, length in ((task, 8), (task, 256), ("riddle", 8), ("sums_up", 8)):
            tests = (length, 2 * length, 5 * length)
            for seed in range(seeds):
                shift = 0.01 * seed + 0.003 * (i % 30)
                scores = {
                    (n, k): 0.45 + shift + 0.4 * 8 / n * (1 - 0.5**k / 2)
                    for n in tests
                    for k in budgets
                }
                curves = {
                    "loss": [0.7 * 0.9**u + shift for u in range(40)],
                    "validation_step": [10, 20, 40],
                    "validation_accuracy": [0.6, 0.9, 0.99],
                }
                of = trial(row, seed, length, task=name, task_options={}, test_lengths=tests)
                found.append(record(of, scores, 2 * (len(budgets) > 1), 10.0 ** (i % 5), curves))
    return campaign(found)


ROWS = ("transformer", "eqt", "gru", ODD)
CROWD = (
    "transformer",
    "eqt",
    "gru",
    *(f"a-method-of-a-long-name-{i}-{'W' * 30}" for i in range(9)),
)


def seen_texts(figure: Figure, renderer: Any) -> list[tuple[str, Bbox]]:
    """Every text that shows, with its box in pixels."""
    hidden: set[int] = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if not low <= tick.get_loc() <= high or not axis.get_visible():
                    hidden |= {id(tick.label1), id(tick.label2)}
    return [
        (text.get_text(), text.get_window_extent(renderer))
        for text in figure.findobj(Text)
        if isinstance(text, Text)
        and text.get_visible()
        and text.get_text().strip()
        and id(text) not in hidden
    ]


def unreadable(figure: Figure) -> list[str]:
    """What is clipped, overlaps, or lies under the legend, in words."""
    with styled():
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
    renderer = canvas.get_renderer()
    texts = seen_texts(figure, renderer)
    page = figure.bbox.padded(1)  # pixel: constrained layout settles to within one
    faults = [
        f"outside: {text!r}"
        for text, box in texts
        if not (page.contains(box.x0, box.y0) and page.contains(box.x1, box.y1))
    ]
    for (one, box), (two, other) in combinations(texts, 2):
        if box.padded(-0.5).overlaps(other.padded(-0.5)):
            faults.append(f"overlap: {one!r} and {two!r}")
    for legend in figure.legends:
        box = legend.get_window_extent(renderer)
        for axes in figure.axes:
            if box.overlaps(axes.get_tightbbox(renderer)):
                faults.append("the legend covers a panel")
    faults += ["an empty panel" for axes in figure.axes if not axes.has_data()]
    return faults


@pytest.mark.parametrize("rows", [ROWS, CROWD], ids=["odd names", "twelve long names"])
@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_every_drawing_can_be_read(maker: Maker, rows: Sequence[str]) -> None:
    found = maker(whole(rows), "transformer")
    assert found and all(isinstance(one, Drawing) for one in found)
    for drawing in (found[0], found[-1]):
        assert isinstance(drawing, Drawing)
        assert unreadable(drawing.figure) == [], drawing.name
        assert drawing.figure.get_figwidth() in (COLUMN, PAGE)
        assert len(drawing.data) and "tiny" in drawing.caption and "a machine" in drawing.caption


def test_the_reader_of_drawings_sees_an_overlap_and_a_clipped_label() -> None:
    figure = Figure(figsize=(2, 2))
    axes = figure.subplots()
    axes.plot([0, 1])
    axes.set_xticks([0.5, 0.51], ["a long label", "and another"])
    figure.text(0.95, 0.5, "beyond the edge")
    kinds = {fault.split(":")[0] for fault in unreadable(figure)}
    assert {"overlap", "outside"} <= kinds


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_the_same_records_give_the_same_file(maker: Maker) -> None:
    bodies = []
    for _ in range(2):
        found = maker(whole(ROWS, seeds=2, task=ODD), "transformer")[-1]
        assert isinstance(found, Drawing)
        bodies.append(written(found, "svg"))
    assert bodies[0] == bodies[1]
    assert b"<script" not in bodies[0]


def written(drawing: Drawing, form: str) -> bytes:
    """The drawing's file."""
    file = io.BytesIO()
    with styled():
        save(drawing.figure, form, file)
    return file.getvalue()


def test_a_name_stands_in_the_svg_as_it_is() -> None:
    found = lengths(whole(ROWS, seeds=2, task=ODD), "transformer")[0]
    assert isinstance(found, Drawing)
    assert b"a$b_&lt;script&gt;" in written(found, "svg")
    assert written(found, "pdf") == written(found, "pdf")


# ---- bad input -------------------------------------------------------------------------------


def broken(status: str, seeds: int = 2) -> list[Record]:
    return [
        Record(trial=trial(row, seed, length), status=status, reason="so it goes")
        for row in ("transformer", "eqt", "gru")
        for length in (8, 16)
        for seed in range(seeds)
    ]


BAD = {
    "one method, one seed": whole(["transformer"], seeds=1),
    "one method that is not the reference": whole(["gru"]),
    "one record": campaign([record(trial(), 0.9)]),
    "all failed": campaign(broken("error")),
    "all diverged": campaign(broken("diverged")),
    "all unsupported": campaign(broken("unsupported")),
    "no metrics": campaign(replace(one, metrics=[]) for one in duel()),
    "half without metrics": campaign(
        replace(one, metrics=[]) if one.trial.seed else one for one in duel()
    ),
    "no costs, no data": campaign(replace(one, costs={}, data={}) for one in duel()),
    "cells that were not planned": campaign(duel()[:-4]),
    "an unknown method and task": whole(["riddler", "transformer"], task="unheard_of"),
    "perfect scores": campaign(
        record(trial(row, seed, length), 1.0)
        for row in ("transformer", "eqt", "gru")
        for length in (8, 16)
        for seed in (0, 1)
    ),
}


RENDERED = ("one method, one seed", "all failed", "perfect scores")
"""Cases whose first drawing is also rendered, which takes most of a second."""


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_bad_input_gives_a_readable_drawing_or_a_reason(maker: Maker, case: str) -> None:
    found = maker(BAD[case], "transformer")
    assert found
    for one in found:
        if isinstance(one, Missing):
            assert one.reason and "\n" not in one.reason
        else:
            assert all(axes.has_data() for axes in one.figure.axes), one.name
    if case in RENDERED and isinstance(found[0], Drawing):
        assert unreadable(found[0].figure) == [], found[0].name


TASKS = ("parity", "riddle", "sums")


@functools.cache
def thousand() -> Campaign:
    """A thousand methods of long names on three tasks, tested at two lengths and two budgets."""
    return campaign(
        record(
            trial(f"method-{i}-{'x' * 60}", task=task, task_options={}, test_lengths=(8, 16)),
            {(n, k): 0.5 + i / 2500 + k / 100 for n in (8, 16) for k in (0, 2)},
            curves={"loss": [0.7, 0.5]},
        )
        for i in range(1000)
        for task in TASKS
    )


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_a_thousand_methods_give_at_most_three_drawings_of_a_thing(maker: Maker) -> None:
    found = [one for one in maker(thousand(), "transformer") if isinstance(one, Drawing)]
    assert len(found) <= 2 * 3 * len(TASKS)
    for drawing in found[:1]:
        assert unreadable(drawing.figure) == [], drawing.name
        assert drawing.data["method"].nunique() <= 32
        assert "970" in drawing.caption or "of 1000" in drawing.caption
