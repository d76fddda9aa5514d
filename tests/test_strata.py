"""Scores by stratum: tables, slopes of the gain, heatmaps and points are what a hand computes."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from closedloop.bench.campaign import Campaign
from closedloop.bench.difficulty import doublings, strata_scores, stratum_gains, stratum_name
from closedloop.bench.figures.figure import Drawing, Maker, Missing
from closedloop.bench.figures.heatmaps import FLAT, heatmap_figures
from closedloop.bench.figures.strata import strata_figures
from closedloop.bench.figures.style import PAGE, styled
from closedloop.bench.registry import Registry
from closedloop.bench.sheets.strata import strata_tables
from closedloop.bench.store import Store
from closedloop.bench.tables import Table
from closedloop.bench.trial import Record, Trial
from closedloop.tasks.parity import Parity

TRIAL = replace(
    tiny.TRIAL,
    task_options={"sampler": "stratified"},
    evaluate={"rows": 100, "iterations": [0]},
)
T2 = 4.302652729911275
"""The 97.5 % quantile of Student's t with two degrees of freedom, from a printed table: 4.3027."""
ODD = "a$b_<script>alert(1)</script>_$c"
MAKERS: list[Maker] = [heatmap_figures, strata_figures]

Strata = Mapping[tuple[int, int, str, int], float]
"""(test length, budget, axis, stratum) -> share of its 1000 tokens right."""


def trial(method: str = "transformer", seed: int = 0, length: int = 8, **fields: Any) -> Trial:
    """A trial of a row, tested at the length it is trained at unless said otherwise."""
    tests = fields.pop("test_lengths", (length,))
    return replace(TRIAL, method=method, seed=seed, length=length, test_lengths=tests, **fields)


def record(of: Trial, strata: Strata, n: Mapping[int, int] | None = None, **fields: Any) -> Record:
    """A record by hand; n: tokens of a stratum where they are not 1000; rows are a tenth."""
    counts = n or {}
    metrics = [
        ["test", length, k, axis, stratum, name, counts.get(stratum, 1000) // part, 0.0]
        for (length, k, axis, stratum) in strata
        for name, part in (("token", 1), ("sequence", 10))
    ]
    for line in metrics:
        line[7] = line[6] * strata[line[1], line[2], line[3], line[4]] ** (1 + (line[5] != "token"))
    whole = {(length, k): share for (length, k, _, _), share in strata.items()}
    metrics += [
        ["test", length, k, "all", 0, "token", 1000, 1000 * share]
        for (length, k), share in whole.items()
    ]
    trained = max((k for _, k in whole), default=0) // 2
    given = {"metrics": metrics, "costs": {"trained_iterations": trained}}
    machine = {"device_name": "a machine"}
    return Record(trial=of, status="ok", environment=machine, **{**given, **fields})


def campaign(records: Iterable[Record], planned: Sequence[Trial] = ()) -> Campaign:
    """The campaign of these records, and of trials that are not in."""
    found = list(records)
    trials = sorted([*(one.trial for one in found), *planned], key=lambda one: one.name)
    return Campaign(Store("nowhere"), "tiny", trials, found, Registry())


def dial(shares: Sequence[float], length: int = 8, k: int = 0) -> dict[Any, float]:
    """Shares on the strata 0, 1, … of parity's dial."""
    return {(length, k, "density", stratum): share for stratum, share in enumerate(shares)}


def tables(of: Campaign) -> dict[str, Table]:
    """The tables by name."""
    return {table.name: table for table in strata_tables(of, "transformer")}


def cells(table: Table, method: str, column: str) -> list[str]:
    """A column's cells in the lines of a method."""
    frame = table.frame
    return list(frame.loc[frame["method"] == method, column])


# ---- tables ----------------------------------------------------------------------------------


def test_a_stratum_s_cell_is_the_mean_over_seeds_with_student_s_interval() -> None:
    of = campaign(record(trial(seed=s), dial([0.9, 0.6 + 0.1 * s])) for s in range(3))
    table = tables(of)["strata-parity-density-token"]
    name = "transformer (reference)"
    half = T2 * 10 / 3**0.5
    assert cells(table, name, "density 1/8") == ["90.00 [90.00, 90.00]"]
    assert cells(table, name, "density 2/8") == [f"70.00 [{70 - half:.2f}, {70 + half:.2f}]"]
    assert cells(table, name, "seeds") == ["3/3"]
    assert cells(table, "(n a seed)", "density 1/8") == ["1000"]
    whole = tables(of)["strata-parity-density-sequence"]
    mean = 100 * (0.36 + 0.49 + 0.64) / 3
    assert cells(whole, name, "density 2/8")[0].startswith(f"{mean:.2f} [")


def test_a_failed_trial_is_counted_but_not_averaged() -> None:
    broken = Record(trial=trial(seed=1), status="error", reason="so it goes")
    of = campaign([record(trial(seed=0), dial([0.9, 0.5])), broken])
    table = tables(of)["strata-parity-density-token"]
    assert cells(table, "transformer (reference)", "density 1/8") == ["90.00"]
    assert cells(table, "transformer (reference)", "seeds") == ["1/2"]


def test_longer_tests_have_lines_of_their_own_and_say_so() -> None:
    both = {**dial([0.9, 0.8]), **dial([0.5, 0.4], length=32)}
    of = campaign([record(trial(test_lengths=(8, 32)), both)])
    table = tables(of)["strata-parity-density-token"]
    mine = table.frame[table.frame["method"] == "transformer (reference)"]
    assert list(mine["tested"]) == ["8", "32 (beyond)"]
    assert list(mine["density 1/8"]) == ["90.00", "50.00"]
    within = trial(length=8, train_lengths=(4, 8), test_lengths=(4, 6, 8))
    lengths = {key: 0.9 for n in (4, 6, 8) for key in dial([0.9, 0.9], length=n)}
    told = tables(campaign([record(within, lengths)]))["strata-parity-density-token"]
    found = told.frame.loc[told.frame["method"] == "transformer (reference)", "tested"]
    assert list(found) == ["4", "6 (not trained)", "8"]


def test_a_trivial_rule_stands_below_by_stratum() -> None:
    rule = [["density", 0, "token", 200, 150], ["density", 1, "token", 200, 100]]
    data = {"8": {"rules": {"latest": rule}, "form": {}}}
    of = campaign([record(trial(), dial([0.9, 0.8]), data=data)])
    table = tables(of)["strata-parity-density-token"]
    assert cells(table, "(rule: latest)", "density 1/8") == ["75.00"]
    assert cells(table, "(rule: latest)", "density 2/8") == ["50.00"]


def test_a_method_that_was_asked_another_form_is_starred() -> None:
    data = {"8": {"form": {"layout": "copy"}}}
    plain = record(trial(), dial([0.9, 0.8]))
    other = record(trial("gru"), dial([0.8, 0.8]), data=data)
    table = tables(campaign([plain, other]))["strata-parity-density-token"]
    assert cells(table, "gru *", "density 1/8") == ["80.00"]
    assert any("layout=copy (gru)" in note for note in table.notes)
    slopes = tables(campaign([plain, other]))["strata-slopes"]
    assert list(slopes.frame["method"]) == ["gru *"]


def test_flips_are_shown_of_rows_that_iterate_alone() -> None:
    lines = [["test", 8, k, "density", s, "gained", 1000, 10] for k in (0, 2) for s in (0, 1)]
    still = replace(record(trial(), dial([0.9, 0.8])), metrics=[])
    still = replace(still, metrics=[*record(trial(), dial([0.9, 0.8])).metrics, *lines[:2]])
    moving = record(trial("eqt"), {**dial([0.9, 0.8]), **dial([0.9, 0.8], k=2)})
    moving = replace(moving, metrics=[*moving.metrics, *lines], costs={"trained_iterations": 2})
    table = tables(campaign([still, moving]))["strata-parity-density-further"]
    gained = table.frame[table.frame["metric"] == "wrong to right, %"]
    assert [name for name in gained["method"] if not name.startswith("(")] == ["eqt"]


def test_seen_rows_are_an_axis_only_where_some_are_new() -> None:
    seen = {(8, 0, "seen", s): 0.9 - 0.3 * s for s in (0, 1)}
    one = tables(campaign([record(trial(), {**dial([0.9, 0.8]), (8, 0, "seen", 1): 0.9})]))
    both = tables(campaign([record(trial(), {**dial([0.9, 0.8]), **seen})]))
    assert "strata-parity-seen-token" not in one
    assert {"new", "met in training"} <= set(both["strata-parity-seen-token"].frame.columns)


# ---- slopes ----------------------------------------------------------------------------------


def test_difficulties_are_read_from_names() -> None:
    found = doublings("carry", ["carry 0", "carry 1", "carry 2-3", "carry 4-7"])
    assert found == pytest.approx([-1, 0, math.log2(6) / 2, math.log2(28) / 2])
    assert doublings("density", ["density 1/8", "density 4/8"]) == [0, 2]
    assert doublings("zone", ["zone near", "zone far"]) == [0, 1]
    assert stratum_name(Parity(), "unheard", 3) == "unheard 4/8"
    assert stratum_name(None, "depth", 3) == "depth 3"


def rising(gains: Sequence[Sequence[float]], n: Mapping[int, int] | None = None) -> Campaign:
    """A seed a line of gains in points of `gru` over a reference that falls from 90 by 10."""
    base = [0.9 - 0.1 * place for place in range(len(gains[0]))]
    found = []
    for seed, line in enumerate(gains):
        better = [share + gain / 100 for share, gain in zip(base, line, strict=True)]
        found.append(record(trial("transformer", seed), dial(base), n))
        found.append(record(trial("gru", seed), dial(better), n))
    return campaign(found)


def slope_lines(of: Campaign, axis: str) -> list[list[str]]:
    """Lines of the table of slopes on an axis, from `gain, first` on."""
    frame = tables(of)["strata-slopes"].frame
    return frame.loc[frame["axis"] == axis, "gain, first":].values.tolist()


def test_the_slope_of_the_gain_is_points_a_doubling() -> None:
    """Strata 1/8, 2/8, 3/8, 4/8 of which the third is empty: log2 is 0, 1, 2."""
    of = rising([[1, 3, 0, 5], [2, 4, 0, 6], [0, 4, 0, 8]], {2: 1})
    assert slope_lines(of, "density (d)") == [
        [
            f"+1.00 [{1 - T2 / 3**0.5:+.2f}, {1 + T2 / 3**0.5:+.2f}]",
            f"+6.33 [{19 / 3 - T2 * (7 / 3) ** 0.5 / 3**0.5:+.2f}, "
            f"{19 / 3 + T2 * (7 / 3) ** 0.5 / 3**0.5:+.2f}]",
            f"+2.67 [{8 / 3 - T2 * (4 / 3) ** 0.5 / 3**0.5:+.2f}, "
            f"{8 / 3 + T2 * (4 / 3) ** 0.5 / 3**0.5:+.2f}]",
            "-15.00 [-15.00, -15.00]",
            "3",
        ]
    ]


def test_of_several_lengths_each_has_its_own_slope_and_one_stratum_has_none() -> None:
    """Slopes of 2 points at L = 8 and of 4 at 16; L = 4 has a single stratum and no part in it."""
    pairs = [
        record(trial(row, 0, length), dial([0.5 + gain for gain in gains], length))
        for length, better in ((4, [0.3]), (8, [0.01, 0.03]), (16, [0.02, 0.06]))
        for row, gains in (("transformer", [0.0] * len(better)), ("gru", better))
    ]
    part = [record(trial(row, 1, 8), dial([0.5, 0.9])) for row in ("transformer", "gru")]
    of = campaign([*pairs, *part])  # seed 1 lacks a length and is left out
    assert slope_lines(of, "density (d)") == [["+1.50", "+4.50", "+3.00", "+0.00", "1"]]
    frame = tables(of)["strata-slopes"].frame
    assert list(frame.loc[frame["axis"] == "density (d)", "L"]) == ["8, 16"]


def test_one_seed_s_slope_has_no_interval_and_unpaired_seeds_are_left_out() -> None:
    alone = [record(trial("gru", 7), dial([0.1, 0.9]))]
    of = rising([[1, 3]])
    found = slope_lines(campaign([*of.records, *alone]), "density (d)")
    assert found == [["+1.00", "+3.00", "+2.00", "-10.00", "1"]]


def test_slopes_over_three_trained_lengths_are_of_the_whole_test_sets() -> None:
    """Gains 1, 2, 3 points at 8, 16, 32: one point a doubling; two lengths give no line."""
    pairs = [
        record(trial(row, 0, length), dial([0.5 + gain, 0.5 + gain], length))
        for length, extra in ((8, 0.01), (16, 0.02), (32, 0.03))
        for row, gain in (("transformer", 0.0), ("gru", extra))
    ]
    assert slope_lines(campaign(pairs), "trained length") == [
        ["+1.00", "+3.00", "+1.00", "+0.00", "1"]
    ]
    assert slope_lines(campaign(pairs[:4]), "trained length") == []


def test_gains_are_paired_by_seed() -> None:
    of = campaign(
        record(trial(row, seed), dial([0.5 + 0.1 * seed + extra]))
        for seed in range(3)
        for row, extra in (("transformer", 0.0), ("gru", 0.02))
    )
    gains = stratum_gains(strata_scores(of), "transformer")
    token = gains[gains["metric"] == "token"]
    assert list(token["gain"]) == pytest.approx([0.02] * 3) and set(token["method"]) == {"gru"}


# ---- figures ---------------------------------------------------------------------------------


def one_drawing(maker: Maker, of: Campaign, name: str) -> Drawing:
    """The drawing of a name."""
    (found,) = [d for d in maker(of, "transformer") if isinstance(d, Drawing) and d.name == name]
    return found


def panel_texts(figure: Figure, title: str) -> list[tuple[str, Any]]:
    """Numbers in the cells under a title, with their colours."""
    (axes,) = [one for one in figure.axes if one.get_title() == title]
    return [(text.get_text(), text.get_color()) for text in axes.texts]


def test_a_difference_whose_interval_holds_zero_is_grey() -> None:
    """Gains of 10, 11 and 12 points are sure, of −10, 0 and 10 are not."""
    figure = one_drawing(
        heatmap_figures, rising([[10, -10], [11, 0], [12, 10]]), "heatmap-parity"
    ).figure
    assert panel_texts(figure, "less the reference")[1] == ("+0", "0.45")
    (axes,) = [one for one in figure.axes if one.get_title() == "less the reference"]
    (mesh,) = axes.collections
    colours = np.asarray(mesh.get_array()).reshape(-1, 3)  # a line of the reference, then gru's
    assert tuple(colours[-1]) == to_rgb(FLAT) and tuple(colours[-2]) != to_rgb(FLAT)
    assert colours[-2][2] > colours[-2][0]  # blue is better


def test_a_sure_loss_is_red() -> None:
    of = rising([[-10, 0], [-11, 0], [-12, 0]])
    figure = one_drawing(heatmap_figures, of, "heatmap-parity").figure
    assert panel_texts(figure, "less the reference")[0] != ("-11", "0.45")
    (axes,) = [one for one in figure.axes if one.get_title() == "less the reference"]
    colours = np.asarray(axes.collections[0].get_array()).reshape(-1, 3)
    assert colours[-2][0] > colours[-2][2]


def test_one_seed_is_never_sure() -> None:
    figure = one_drawing(heatmap_figures, rising([[10, 20]]), "heatmap-parity").figure
    assert {colour for _, colour in panel_texts(figure, "less the reference")} == {"0.45"}


def test_lengths_are_lines_and_those_beyond_are_marked() -> None:
    shares = {**dial([0.9, 0.8]), **dial([0.7, 0.6], length=16)}
    of = campaign(
        record(trial(row, test_lengths=(8, 16)), {k: v - less for k, v in shares.items()})
        for row, less in (("transformer", 0.0), ("gru", 0.2))
    )
    names = {d.name for d in heatmap_figures(of, "transformer") if isinstance(d, Drawing)}
    assert names == {"heatmap-parity", "heatmap-parity-from-8"}
    figure = one_drawing(heatmap_figures, of, "heatmap-parity-from-8").figure
    assert [text for text, _ in panel_texts(figure, "transformer")] == ["90", "80", "70", "60"]
    assert [text for text, _ in panel_texts(figure, "less the reference")] == ["-20"] * 4
    (axes,) = [one for one in figure.axes if one.get_title() == "transformer"]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["8", "16*"]


def test_without_a_dial_rows_are_as_hard_as_the_reference_s_other_seeds_found_them(
    tmp_path: Path,
) -> None:
    """Eight rows of one token; row i costs the reference i nats in every seed."""
    store, found = Store(tmp_path), []
    for row, solved in (("transformer", 4), ("gru", 6)):
        for seed in (0, 1):
            of = trial(row, seed, task_options={"sampler": "natural"})
            right = np.array([[1] * solved + [0] * (8 - solved)])
            arrays = {
                "8/budgets": np.array([0]),
                "8/scored": np.ones(8, int),
                "8/right": right,
                "8/nats": np.arange(8.0)[None],
            }
            band = {(8, 0, "band", s): 0.5 for s in (0, 1)}
            kept = store.save_rows(of.id, arrays)
            found.append(record(of, band, rows=kept, data={"8": {"sha256": "same"}}))
    of = replace(campaign(found), store=store)
    data = one_drawing(heatmap_figures, of, "heatmap-parity").data
    lines = data[(data["method"] == "gru") & (data["quantity"] == "gain")]
    assert list(lines["mean"]) == [0, 0, 100, 0]
    assert list(data[(data["method"] == "gru") & (data["quantity"] == "score")]["mean"]) == [
        *[100] * 3,
        0,
    ]


def test_points_and_curves_are_the_means() -> None:
    base = [record(trial(seed=s), dial([0.9, 0.5 + 0.1 * s])) for s in range(3)]
    eqt = [
        record(
            trial("eqt", s),
            {key: v for k in (0, 1, 2) for key, v in dial([0.6 + 0.1 * k] * 2, k=k).items()},
        )
        for s in range(3)
    ]
    of = campaign([*base, *eqt])
    points = one_drawing(strata_figures, of, "strata-parity")
    line = points.data.query("method == 'transformer' and stratum == 1").iloc[0]
    half = T2 * 10 / 3**0.5
    assert [line["mean"], line["low"], line["high"]] == pytest.approx([60, 60 - half, 60 + half])
    assert set(points.data.query("method == 'eqt'")["iterations"]) == {1}
    steps = one_drawing(strata_figures, of, "steps-parity")
    assert [axes.get_title() for axes in steps.figure.axes] == ["density 1/8", "density 2/8"]
    curve = steps.figure.axes[0].lines[0]
    assert curve.get_xydata() == pytest.approx(np.array([[0, 60], [1, 70], [2, 80]]))
    assert any(list(one.get_ydata()) == [90, 90] for one in steps.figure.axes[0].lines)


def test_the_longest_trained_length_is_drawn() -> None:
    of = campaign(record(trial(length=n), dial([n / 100, 0.5], n)) for n in (8, 16))
    assert list(one_drawing(strata_figures, of, "strata-parity").data["mean"]) == [16, 50]


def test_a_stratum_of_less_than_a_hundredth_is_not_drawn() -> None:
    of = campaign([record(trial(), dial([0.9, 0.8, 0.1]), {2: 10})])
    assert set(one_drawing(strata_figures, of, "strata-parity").data["stratum"]) == {0, 1}


# ---- can it be read, and bad input -----------------------------------------------------------


def unreadable(figure: Figure) -> list[str]:
    """What is clipped or overlaps, in words, and panels without anything."""
    with styled():
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
    renderer, page = canvas.get_renderer(), figure.bbox.padded(1)  # layout settles to a pixel
    texts = [
        (text.get_text(), text.get_window_extent(renderer))
        for text in figure.findobj(Text)
        if isinstance(text, Text) and text.get_visible() and text.get_text().strip()
    ]
    ticks = hidden_ticks(figure)
    texts = [(text, box) for text, box in texts if (text, box.bounds) not in ticks]
    faults = [
        f"outside: {text!r}"
        for text, box in texts
        if not (page.contains(box.x0, box.y0) and page.contains(box.x1, box.y1))
    ]
    corners = np.array([box.padded(-0.5).extents for _, box in texts]).T  # x0, y0, x1, y1
    apart = [(corners[a][:, None] >= corners[b]) for a, b in ((0, 2), (1, 3))]
    touching = ~(apart[0] | apart[0].T | apart[1] | apart[1].T)
    faults += [
        f"overlap: {texts[one][0]!r} and {texts[two][0]!r}"
        for one, two in np.argwhere(touching)
        if one < two
    ]
    return faults + ["an empty panel" for axes in figure.axes if not axes.has_data()]


def hidden_ticks(figure: Figure) -> set[Any]:
    """Texts and boxes of tick labels beyond the view, which are not drawn."""
    found = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if not low <= tick.get_loc() <= high:
                    found |= {
                        (t.get_text(), t.get_window_extent().bounds)
                        for t in (tick.label1, tick.label2)
                    }
    return found


def whole(rows: Sequence[str], seeds: int = 2, **fields: Any) -> Campaign:
    """Eight strata of two axes, two trained lengths and tests beyond, budgets where it iterates."""
    found = []
    for i, row in enumerate(rows):
        budgets = (0,) if row in ("transformer", "gru") else (0, 1, 2, 4, 8, 16, 32)
        for length in (8, 256):
            tests = (length, 4 * length)
            for seed in range(seeds):
                strata = {
                    (n, k, axis, s): min(0.5 + 0.005 * (i % 30) + 0.02 * seed + 0.05 * s, 1.0)
                    for n in tests
                    for k in budgets
                    for axis, wide in (("density", 8), ("band", 4), (ODD, 2))
                    for s in range(wide)
                }
                of = trial(row, seed, length, test_lengths=tests, **fields)
                found.append(record(of, strata))
    return campaign(found)


CROWD = (
    "transformer",
    "eqt",
    "gru",
    *(f"a-method-of-a-long-name-{i}-{'W' * 30}" for i in range(9)),
)


@pytest.mark.parametrize("rows", [("transformer", "eqt", "gru", ODD), CROWD], ids=["odd", "crowd"])
@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_every_drawing_can_be_read(maker: Maker, rows: Sequence[str]) -> None:
    found = [one for one in maker(whole(rows), "transformer") if isinstance(one, Drawing)]
    assert len(found) >= 2
    for drawing in (found[0], found[-1]):
        assert unreadable(drawing.figure) == [], drawing.name
        assert drawing.figure.get_figwidth() == PAGE
        assert len(drawing.data) and "tiny" in drawing.caption and "a machine" in drawing.caption


def broken(status: str) -> list[Record]:
    return [
        Record(trial=trial(row, seed), status=status) for row in ("gru", "eqt") for seed in (0, 1)
    ]


BAD = {
    "one method, one seed": lambda: whole(["transformer"], seeds=1),
    "not the reference": lambda: whole(["gru"]),
    "all failed": lambda: campaign(broken("error")),
    "all diverged": lambda: campaign(broken("diverged")),
    "no metrics": lambda: campaign([replace(record(trial(), dial([0.5, 0.6])), metrics=[])]),
    "no strata": lambda: campaign([record(trial(), {(8, 0, "all", 0): 0.5})]),
    "one stratum": lambda: campaign([record(trial(), dial([0.5]))]),
    "a plug-in's": lambda: whole(["riddler", "transformer"], task="unheard_of", task_options={}),
    "not planned": lambda: campaign(whole(["transformer", "gru"]).records[:-3]),
    "perfect": lambda: campaign(record(trial(row), dial([1, 1])) for row in ("transformer", "gru")),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gives_tables_and_a_drawing_or_a_reason(case: str) -> None:
    of = BAD[case]()
    for table in strata_tables(of, "transformer"):
        assert all(table.render(form) for form in ("md", "latex", "csv", "text"))
    for maker in MAKERS:
        found = maker(of, "transformer")
        assert found
        for one in found:
            if isinstance(one, Missing):
                assert one.reason and "\n" not in one.reason
            else:
                assert unreadable(one.figure) == [], one.name


def test_another_reference_than_asked_is_told() -> None:
    of = whole(["eqt", "gru"], seeds=2)
    assert "no row 'transformer' here: eqt is the reference" in tables(of)["strata-slopes"].notes
    for maker in MAKERS:
        drawing = next(one for one in maker(of, "transformer") if isinstance(one, Drawing))
        assert "eqt is the reference" in drawing.caption


@functools.cache
def thousand() -> Campaign:
    """A thousand methods of long names."""
    return campaign(
        record(trial(f"method-{i}-{'x' * 60}"), dial([0.5, 0.5 + i / 2500])) for i in range(1000)
    )


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_a_thousand_methods_give_at_most_three_drawings(maker: Maker) -> None:
    found = [one for one in maker(thousand(), "transformer") if isinstance(one, Drawing)]
    assert len(found) == 3 and unreadable(found[0].figure) == []
    assert "not drawn" in found[0].caption
