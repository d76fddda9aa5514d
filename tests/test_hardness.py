"""Single test rows: gains by hardness, convergence and energy, from side files made by hand."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import TRIAL

from closedloop.bench.campaign import Campaign
from closedloop.bench.figures.convergence import convergence_figures, settled_share
from closedloop.bench.figures.energy import energy_figures
from closedloop.bench.figures.figure import Drawing, Maker, Missing, save
from closedloop.bench.figures.hardness import hardness_figures
from closedloop.bench.figures.style import styled
from closedloop.bench.outcomes import BINS, LOWEST, PER_DECADE, bins, pairs
from closedloop.bench.registry import Registry
from closedloop.bench.row_hardness import BY_LOSS, BY_MEAN, BY_REFERENCE, CROSS_FITTED
from closedloop.bench.row_outcomes import load_outcomes, paired
from closedloop.bench.sheets.hardness import hardness_tables
from closedloop.bench.store import Store
from closedloop.bench.trial import Record

T1 = 12.706204736432095
"""The 97.5 % quantile of Student's t with one degree of freedom, from a printed table: 12.706."""
MAKERS: list[Maker] = [hardness_figures, convergence_figures, energy_figures]


def record(
    store: Store,
    method: str,
    seed: int,
    right: Any,
    nats: Any = None,
    energy: Any = None,
    tokens: int = 10,
    length: int = 8,
    budgets: Sequence[int] = (0,),
    sha256: str = "same",
    **fields: Any,
) -> Record:
    """A record whose side file has right tokens, nats and energies, [N] or [K, N]."""
    of = replace(TRIAL, method=method, seed=seed, length=length, test_lengths=(length,))
    hits = np.atleast_2d(np.asarray(right))
    loss = np.zeros(hits.shape) if nats is None else np.atleast_2d(np.asarray(nats, float))
    arrays = {"budgets": np.array(budgets), "right": hits, "nats": loss}
    arrays["scored"] = np.full(hits.shape[1], tokens)
    if energy is not None:
        arrays["energy"] = np.atleast_2d(np.asarray(energy, float))
    scored = int(arrays["scored"].sum())
    metrics = [
        ["test", length, k, "all", 0, name, scored, float(hits[place].sum())]
        for place, k in enumerate(budgets)
        for name in ("token", *(["energy"] if energy is not None else []))
    ]
    kept = store.save_rows(of.id, {f"{length}/{name}": array for name, array in arrays.items()})
    given = {"metrics": metrics, "rows": kept, "data": {str(length): {"sha256": sha256}}}
    machine = {"device_name": "a machine"}
    return Record(trial=of, status="ok", environment=machine, **{**given, **fields})


def campaign(store: Store, records: Sequence[Record]) -> Campaign:
    """The campaign of these records."""
    trials = sorted((one.trial for one in records), key=lambda one: one.name)
    return Campaign(store, "tiny", trials, records, Registry())


def table(of: Campaign, name: str) -> pd.DataFrame:
    """One of the tables of hardness."""
    (found,) = [t for t in hardness_tables(of, "transformer") if t.name == f"hardness-{name}"]
    return found.frame


def line(of: Campaign, name: str, by: str, method: str = "eqt") -> list[str]:
    """The cells of a line, from the first bin on."""
    frame = table(of, name)
    return list(frame[(frame["by"] == by) & (frame["method"] == method)].iloc[0, 4:])


def one_drawing(maker: Maker, of: Campaign, name: str) -> Drawing:
    """The drawing of a name."""
    (found,) = [d for d in maker(of, "transformer") if isinstance(d, Drawing) and d.name == name]
    return found


# ---- aligned rows ----------------------------------------------------------------------------


def test_rows_pair_only_where_both_were_asked_the_same(tmp_path: Path) -> None:
    store = Store(tmp_path)
    base = [record(store, "transformer", s, [10, 5]) for s in (0, 1, 2)]
    same = [record(store, "eqt", s, [9, 6]) for s in (2, 1)]
    other = [record(store, "gru", 0, [9, 6], sha256="other")]
    of = campaign(store, [*base, *same, *other])
    reference = load_outcomes(of, base, 8)
    pair = paired(load_outcomes(of, same, 8), reference)
    assert pair is not None and [one.seeds for one in pair] == [(1, 2), (1, 2)]
    assert pair[0].accuracy().tolist() == [[0.9, 0.6]] * 2
    assert paired(load_outcomes(of, other, 8), reference) is None
    assert set(table(of, "rows")["method"]) == {"eqt"}


def test_rows_without_a_scored_token_are_left_out_and_a_damaged_file_is_none(
    tmp_path: Path,
) -> None:
    store = Store(tmp_path)
    one = record(store, "eqt", 0, [3, 0, 5])
    arrays = {"8/budgets": np.array([0]), "8/scored": np.array([5, 0, 5])}
    arrays |= {"8/right": np.array([[3, 0, 5]]), "8/nats": np.array([[1.0, 0.0, 2.0]])}
    kept = replace(one, rows=store.save_rows(one.trial.id, arrays))
    found = load_outcomes(campaign(store, [kept]), [kept], 8)
    assert found is not None
    assert found.accuracy().tolist() == [[0.6, 1.0]] and found.loss().tolist() == [[0.2, 0.4]]
    store.rows_path(one.trial.id).write_bytes(b"no archive")
    assert load_outcomes(campaign(store, [kept]), [kept], 8) is None


# ---- gains by hardness -----------------------------------------------------------------------


def test_rows_fall_into_the_paper_s_regimes(tmp_path: Path) -> None:
    """Rows of 100, 80 and 50 % right; gains of −10, +10 and 0, then 0, +20 and +20 points."""
    store = Store(tmp_path)
    right = {0: [9, 9, 5], 1: [10, 10, 7]}
    records = [record(store, "transformer", s, [10, 8, 5]) for s in right]
    records += [record(store, "eqt", s, row) for s, row in right.items()]
    of = campaign(store, records)
    half = T1 * 50**0.5 / 2**0.5
    expected = [
        f"-5.00 [{-5 - half:+.2f}, {-5 + half:+.2f}] (1)",
        f"+15.00 [{15 - half:+.2f}, {15 + half:+.2f}] (1)",
        f"+10.00 [{10 - 2 * half:+.2f}, {10 + 2 * half:+.2f}] (1)",
        "2",
    ]
    assert line(of, "rows", BY_REFERENCE) == expected
    assert line(of, "rows", BY_MEAN) == expected  # of 97.5, 87.5 and 55 %
    assert [cell.split()[0] for cell in line(of, "rows", CROSS_FITTED)[:3]] == [
        "-5.00",
        "+15.00",
        "+10.00",
    ]


def test_quartiles_are_of_the_other_seeds_loss(tmp_path: Path) -> None:
    """Seed 0's losses order the rows the other way round: its own must not decide."""
    store = Store(tmp_path)
    losses = {0: [4, 3, 2, 1], 1: [1, 2, 3, 4]}
    gains = {0: [1, 2, 3, 4], 1: [0, 0, 0, 0]}
    records = [record(store, "transformer", s, [5] * 4, losses[s]) for s in losses]
    records += [record(store, "eqt", s, np.add(5, gains[s])) for s in losses]
    cells = line(campaign(store, records), "quartiles", BY_LOSS)
    assert [cell.split()[0] for cell in cells[:4]] == ["+5.00", "+10.00", "+15.00", "+20.00"]
    energies = [record(store, "eqt", s, np.add(5, gains[s]), energy=[4, 3, 2, 1]) for s in losses]
    of = campaign(store, [*records[:2], *energies])
    cells = line(of, "quartiles", "energy of the own proposal")
    assert [cell.split()[0] for cell in cells[:4]] == ["+20.00", "+15.00", "+10.00", "+5.00"]


def test_one_seed_has_no_other_and_its_bins_are_empty(tmp_path: Path) -> None:
    store = Store(tmp_path)
    records = [record(store, name, 0, [10, 8]) for name in ("transformer", "eqt")]
    of = campaign(store, records)
    assert line(of, "rows", CROSS_FITTED) == ["-", "-", "-", "0"]
    assert line(of, "rows", BY_REFERENCE)[0] == "+0.00 (1)"
    titles = [
        axes.get_title()
        for axes in one_drawing(hardness_figures, of, "hardness-parity").figure.axes
    ]
    assert titles == ["by the reference alone (biased)", "by mean of both"]


def test_lengths_fall_into_the_paper_s_regimes(tmp_path: Path) -> None:
    """One model a length, 100, 80 and 50 % right; gains of 0, 5 and 10 points, both seeds alike."""
    store = Store(tmp_path)
    shares = {4: (10, 10), 8: (8, 8.5), 16: (5, 6)}
    records = [
        record(store, name, seed, [right] * 2, length=length)
        for length, pair in shares.items()
        for name, right in zip(("transformer", "eqt"), pair, strict=True)
        for seed in (0, 1)
    ]
    of = campaign(store, records)
    told = [f"{g} [{g}, {g}] (1)" for g in ("+0.00", "+5.00", "+10.00")]
    assert line(of, "lengths", BY_REFERENCE) == [*told, "2"]
    assert list(table(of, "lengths")["L"].unique()) == ["4, 8, 16"]
    data = one_drawing(hardness_figures, of, "hardness-lengths-parity").data
    assert list(data[data["by"] == BY_MEAN]["mean"]) == pytest.approx([0, 5, 10])


@pytest.fixture(scope="module")
def equals(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    """Two methods that are the same: 1000 rows of 20 tokens, each right with 0.7, 8 seeds."""
    store, random = Store(tmp_path_factory.mktemp("equals")), np.random.default_rng(5)
    records = []
    for name in ("transformer", "eqt"):
        for seed in range(8):
            right = random.binomial(20, 0.7, 1000)
            nats = (20 - right) * 1.2 + random.normal(0, 0.1, 1000)
            records.append(record(store, name, seed, right, nats, random.random(1000), 20))
    return campaign(store, records)


def test_binning_by_the_reference_alone_makes_a_gain_of_nothing(equals: Campaign) -> None:
    """Luck of sd 10 points a row and seed, 3.6 over 8 seeds: half of the rows look hard by it.

    The mean of the lower half of a normal is 0.8 sd below: a gain of 2.9 points, and of −2.9 in the
    middle regime, where there is none. The fair ways hold zero; 1.3 points are four standard errors
    of the 2000 row differences, of sd 14.5 points, in a quarter of the rows.
    """
    data = one_drawing(hardness_figures, equals, "hardness-parity").data.set_index(["by", "bin"])
    hard, medium = (data.loc[(BY_REFERENCE, name)] for name in ("hard", "medium"))
    assert 2 < hard["mean"] < 3.8 and hard["low"] > 0
    assert -3.8 < medium["mean"] < -2 and medium["high"] < 0
    fair = data[(data.index.get_level_values(0) != BY_REFERENCE) & (data["seeds"] == 8)]
    assert len(fair) == 12
    assert (fair["mean"].abs() < 1.3).all()
    assert ((fair["low"] < 0) & (fair["high"] > 0)).mean() >= 11 / 12  # one in twenty may not


# ---- convergence -----------------------------------------------------------------------------


def trace(shares: Mapping[float, int]) -> list[list[int]]:
    """A histogram of values and how many tokens have them."""
    values = torch.tensor([value for value, count in shares.items() for _ in range(count)])
    return pairs(torch.bincount(bins(values), minlength=BINS))


def test_the_settled_share_is_exact() -> None:
    values = 10 ** torch.empty(5000, dtype=torch.float64).uniform_(
        -9.5, 3.5, generator=torch.Generator().manual_seed(0)
    )
    counts = pairs(torch.bincount(bins(values), minlength=BINS))
    assert settled_share(counts) == pytest.approx(100 * float((values < 1e-3).double().mean()))
    assert settled_share(trace({1e-3: 1, 0.0: 1})) == 50  # at the threshold is not below it


def traced(store: Store, seeds: Sequence[Mapping[str, Any]]) -> Campaign:
    """A row `eqt` with these traces at L = 8, a seed each."""
    records = [record(store, "eqt", s, [5, 5], traces={"8": told}) for s, told in enumerate(seeds)]
    return campaign(store, [*records, record(store, "transformer", 0, [5, 5])])


def test_quantiles_are_of_all_seeds_tokens(tmp_path: Path) -> None:
    """Of 100 tokens 60 move by 0.0002 and 40 by 0.2; an iteration of one seed alone is left out."""
    first = {"1": trace({2e-4: 50}), "2": trace({2e-5: 50}), "3": trace({1e-6: 50})}
    second = {"1": trace({2e-4: 10, 0.2: 40}), "2": trace({2e-5: 50})}
    residual = {"residual": {"0": trace({0.2: 50})}}
    of = traced(Store(tmp_path), [{"change": first, **residual}, {"change": second}])
    data = one_drawing(convergence_figures, of, "convergence-parity").data
    change = data[data["quantity"] == "change"].set_index("iteration")
    assert list(change.index) == [1, 2] and list(change["settled"]) == [60, 100]
    place = int(bins(torch.tensor([2e-4]))[0])
    middle = 10 ** (LOWEST + (place - 0.5) / PER_DECADE)
    assert change.loc[1, "median"] == pytest.approx(middle)
    assert change.loc[1, "high"] == pytest.approx(1e3 * middle)
    assert list(data[data["quantity"] == "residual"]["seeds"]) == [1]
    figure = one_drawing(convergence_figures, of, "convergence-parity").figure
    assert [axes.get_ylabel() for axes in figure.axes] == [
        "Relative change",
        "Residual",
        "Settled tokens, %",
    ]


# ---- energy ----------------------------------------------------------------------------------


def falling(store: Store, orders: Sequence[Sequence[float]]) -> Campaign:
    """A row `eqt` whose four rows' energies drop by 1 to 4 at K = 2, the loss by these, by seed.

    Ten tokens a row: nats of a token drop by a tenth.
    """
    records = []
    for seed, drops in enumerate(orders):
        energy = np.stack([[9.0] * 4, [9.0 - d for d in (1, 2, 3, 4)]])
        nats = np.stack([[50.0] * 4, [50.0 - d for d in drops]])
        records.append(
            record(
                store,
                "eqt",
                seed,
                [[5] * 4] * 2,
                nats,
                energy,
                budgets=(0, 2),
                costs={"trained_iterations": 2},
            )
        )
    return campaign(store, records)


def test_the_rank_correlation_is_within_seeds(tmp_path: Path) -> None:
    """Of 1 and −1 the mean is 0; the points are drops of a scored token."""
    of = falling(Store(tmp_path), [[1, 2, 3, 4], [4, 3, 2, 1]])
    data = one_drawing(energy_figures, of, "energy-parity").data
    curve = data[data["rho_n"].notna()].set_index("iterations")
    assert curve.loc[2, "rho"] == 0 and curve.loc[2, "rho_n"] == 2
    assert list(curve.loc[[0, 2], "mean"]) == [0, -2.5]
    points = data[data["seed"] == 1]
    assert list(points["energy_drop"]) == [1, 2, 3, 4]
    assert list(points["loss_drop"]) == pytest.approx([0.4, 0.3, 0.2, 0.1])


def test_a_loss_that_is_not_finite_is_left_out_of_the_correlation(tmp_path: Path) -> None:
    of = falling(Store(tmp_path), [[1, 2, 3, np.nan], [1, 2, 3, 4]])
    data = one_drawing(energy_figures, of, "energy-parity").data
    told = data[(data["iterations"] == 2) & data["rho"].notna()]
    assert told[["rho", "rho_n"]].values.tolist() == [[1, 2]]


def test_where_nothing_moves_there_is_no_correlation(tmp_path: Path) -> None:
    of = falling(Store(tmp_path), [[1, 1, 1, 1], [1, 1, 1, 1]])
    figure = one_drawing(energy_figures, of, "energy-parity").figure
    assert figure.axes[0].get_title() == "K=2: ρ undefined"


# ---- bad input -------------------------------------------------------------------------------


def test_records_without_rows_and_traces_are_told(tmp_path: Path) -> None:
    bare = [
        replace(record(Store(tmp_path), name, 0, [5, 5]), rows="")
        for name in ("transformer", "eqt")
    ]
    of = campaign(Store("nowhere"), bare)
    for maker in MAKERS:
        found = maker(of, "transformer")
        assert found and all(isinstance(one, Missing) and one.reason for one in found)
    notes = {t.name: t.notes for t in hardness_tables(of, "transformer")}
    assert "These records keep no outcomes of single test rows" in notes["hardness-rows"]
    assert any(note.startswith("No task here") for note in notes["hardness-lengths"])


@pytest.mark.parametrize("status", ["error", "diverged", "unsupported"])
def test_trials_without_scores_give_reasons(status: str) -> None:
    records = [
        Record(trial=replace(TRIAL, method=m), status=status) for m in ("transformer", "eqt")
    ]
    of = campaign(Store("nowhere"), records)
    for maker in MAKERS:
        assert all(isinstance(one, Missing) for one in maker(of, "transformer"))
    for found in hardness_tables(of, "transformer"):
        assert found.render("md") and found.render("latex") and not len(found.frame)


def test_odd_names_and_many_methods_are_drawn_and_written(tmp_path: Path) -> None:
    store, random = Store(tmp_path), np.random.default_rng(0)
    names = ["transformer", "a$b_<script>$c", *(f"method-{i}-{'x' * 50}" for i in range(9))]
    told = {"change": {str(k): trace({10.0**-k: 5, 1.0: 5}) for k in (1, 2, 3)}}
    records = [
        record(
            store,
            name,
            seed,
            random.integers(0, 11, (2, 20)),
            random.random((2, 20)),
            random.random((2, 20)),
            budgets=(0, 3),
            traces={} if name == "transformer" else {"8": told},
        )
        for name in names
        for seed in (0, 1)
    ]
    of = campaign(store, records)
    for maker in MAKERS:
        found = [one for one in maker(of, "transformer") if isinstance(one, Drawing)]
        assert len(found) in (1, 3)  # ten others in parts of ten; of energies eleven, four each
        text = ""
        for drawing in found:
            file = io.BytesIO()
            with styled():
                save(drawing.figure, "svg", file)
            text += file.getvalue().decode()
        assert "<script" not in text and "a$b_&lt;script&gt;$c" in text
