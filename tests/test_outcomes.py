"""Outcomes of single rows and traces of iterations, against the sums and by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from closedloop.bench import outcomes
from closedloop.bench.outcomes import BINS, LOWEST, PER_DECADE, bins, pooled, quantiles
from closedloop.bench.plan import Request, plan
from closedloop.bench.registry import Registry
from closedloop.bench.run import Settings, run_trial, sizes_of
from closedloop.bench.seeds import data_seed
from closedloop.bench.store import Store
from closedloop.bench.trial import Record

SETTINGS = ["train.rows=64", "train.epochs=1", "evaluate.rows=48", "evaluate.iterations=[0, 1, 3]"]


@pytest.fixture(scope="module", params=["eqt", "deq", "diffusion-masked", "ttt-linear", "gru"])
def ran(request: pytest.FixtureRequest, tmp_path_factory) -> tuple[Record, Store]:
    """A trial of a method of every kind of iteration, in 20-row parts."""
    settings = [*SETTINGS, "evaluate.batch=20"]
    asked = Request(preset="smoke", methods=[request.param], lengths=[8], seeds=1)
    (trial,) = plan(replace(asked, settings=settings), Registry())
    folder = tmp_path_factory.mktemp("ran")
    record = run_trial(trial, Registry(), Settings(results=str(folder)))
    assert record.status == "ok", record.reason
    return record, Store(folder)


def test_outcomes_by_row_add_up_to_the_record_s_counts(ran: tuple[Record, Store]) -> None:
    record, store = ran
    rows = store.load_rows(record)
    sums = {tuple(row[1:6]): row[6:] for row in record.metrics if row[0] == "test"}
    scored = rows["8/scored"].astype(int)
    for place, taken in enumerate(rows["8/budgets"].tolist()):
        n, right = sums[8, taken, "all", 0, "token"]
        assert (scored.sum(), rows["8/right"][place].astype(int).sum()) == (n, right)
        _, whole = sums[8, taken, "all", 0, "sequence"]
        assert (rows["8/right"][place] == scored).sum() == whole
        _, nats = sums[8, taken, "all", 0, "nats"]
        assert rows["8/nats"][place].sum() == pytest.approx(nats, rel=1e-5)
        if "8/energy" in rows:
            _, energy = sums[8, taken, "all", 0, "energy"]
            by_hand = (rows["8/energy"][place].astype(float) * scored).sum()
            assert by_hand == pytest.approx(energy, rel=1e-4)


def test_single_tokens_are_those_of_the_first_rows_whatever_the_parts(
    ran: tuple[Record, Store],
) -> None:
    record, store = ran
    rows = store.load_rows(record)
    budgets, scored = rows["8/budgets"], rows["8/tokens/scored"]
    assert scored.shape == (outcomes.TOKENS, 8) and scored.sum() == rows["8/scored"][:32].sum()
    right, nats = rows["8/tokens/right"], rows["8/tokens/nats"]
    assert right.shape == nats.shape == (len(budgets), outcomes.TOKENS, 8)
    assert np.array_equal(right.sum(2), rows["8/right"][:, :32])
    # every token is rounded to half a grain
    limit = 8 * 0.5 / outcomes.GRAIN + 1e-5
    assert np.abs(nats.sum(2) - rows["8/nats"][:, :32]).max() <= limit
    entropy = rows["8/tokens/entropy"]
    assert 0 <= entropy.min() and entropy.max() <= np.log(2) + 1e-4
    assert ("8/tokens/energy" in rows) == ("8/energy" in rows)


def test_training_rows_are_scored_at_zero_and_at_the_trained_budget(
    ran: tuple[Record, Store],
) -> None:
    record, _ = ran
    seen = {(row[2], row[6]) for row in record.metrics if row[0] == "train" and row[5] == "token"}
    trained = {"eqt": {0, 1}, "deq": {0, 3}, "diffusion-masked": {0, 3}, "ttt-linear": {0, 1}}
    budgets = trained.get(record.trial.method, {0})
    assert seen == {(budget, 48 * 8) for budget in budgets}


def test_the_training_split_is_the_first_training_rows(tmp_path: Path) -> None:
    settings = [*SETTINGS, "train.rows=64", "evaluate.rows=40"]
    asked = Request(preset="smoke", methods=["gru"], lengths=[8], seeds=1, settings=settings)
    (trial,) = plan(asked, Registry())
    record = run_trial(trial, Registry(), Settings(results=str(tmp_path), keep_weights=True))
    registry = Registry()
    task, method = registry.task(trial.task)(**trial.task_options), registry.method(trial.method)
    model = method(method.Config(**trial.method_options), sizes_of(task, trial)).eval()
    model.load_state_dict(load_file(Store(tmp_path).weights(trial.id)))
    rows = task.sample(64, 8, data_seed(trial), "train").rows(slice(40)).to("cpu")
    with torch.no_grad():
        right = (model.answer(rows.inputs, 0).logits.argmax(-1) == rows.targets) & rows.mask
    found = {row[5]: row[6:] for row in record.metrics if row[0] == "train"}
    assert found["token"] == [int(rows.mask.sum()), int(right.sum())]
    assert found["sequence"] == [40, int((right == rows.mask).all(1).sum())]


def test_eqt_s_other_courses_start_at_its_proposal_and_the_oracle_s_lowers_the_loss(
    ran: tuple[Record, Store],
) -> None:
    record, store = ran
    whole = [row for row in record.metrics if row[3] == "all" and row[5] == "nats"]
    nats = {(row[0], row[2]): row[7] for row in whole}
    courses = {split for split, _ in nats if "@" in split}
    if record.trial.method != "eqt":
        assert not courses
        return
    assert courses == {"test@random", "test@oracle", "test@redrawn"}
    for course in courses:
        assert nats[course, 0] == pytest.approx(nats["test", 0], rel=1e-6)
    assert nats["test@oracle", 3] < nats["test@oracle", 1] < nats["test", 0]
    probes = {name for name in store.load_rows(record) if name.startswith("8/probe/")}
    assert {"8/probe/curvature", "8/probe/raised", "8/probe/drop"} <= probes


def test_every_iteration_up_to_the_highest_budget_is_traced(ran: tuple[Record, Store]) -> None:
    record, _ = ran
    if record.trial.method == "gru":
        assert record.traces == {"8": {}} or record.traces == {}
        return
    counts = {int(k): pairs for k, pairs in record.traces["8"]["change"].items()}
    every = {1, 3} if record.trial.method == "ttt-linear" else {1, 2, 3}
    assert set(counts) == every
    assert {sum(count for _, count in pairs) for pairs in counts.values()} == {48 * 8}


def test_an_energy_leaves_a_residual_that_descent_lowers() -> None:
    """EqT's residual is ||∇Φ|| / ||h||: ten times the relative change at step size 0.1."""
    from closedloop.methods.eqt import EqT
    from closedloop.methods.method import Sizes, build

    model = build(EqT, EqT.Config(width=16, depth=1, heads=2), Sizes(2, 2, 8), 0).eval()
    inputs = torch.randint(0, 2, (3, 8), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        steps = list(model.deliberate(inputs, 3))
    for before, after in zip(steps, steps[1:], strict=False):
        assert torch.allclose(before.residual * 0.1, after.change, rtol=1e-4)
    assert (steps[3].residual < steps[0].residual).float().mean() > 0.9


def test_only_the_first_rows_are_kept(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(outcomes, "KEPT", 30)
    asked = Request(preset="smoke", methods=["gru"], lengths=[8], seeds=1, settings=SETTINGS)
    (trial,) = plan(asked, Registry())
    record = run_trial(trial, Registry(), Settings(results=str(tmp_path)))
    assert Store(tmp_path).load_rows(record)["8/right"].shape == (1, 30)


def test_outcomes_that_are_not_the_record_s_own_are_not_read(ran: tuple[Record, Store]) -> None:
    record, store = ran
    assert store.load_rows(record)
    assert store.load_rows(replace(record, rows="")) == {}
    path = store.rows_path(record.trial.id)
    body = path.read_bytes()
    path.write_bytes(body[:-1] + b"?")
    assert store.load_rows(record) == {}
    path.unlink()
    assert store.load_rows(record) == {}
    path.write_bytes(body)


def test_bins_and_quantiles_by_hand() -> None:
    values = torch.tensor([0.0, 1e-12, 1.01e-9, 1.0, 1e9, torch.inf, torch.nan])
    one = -LOWEST * PER_DECADE + 1
    assert bins(values).tolist() == [0, 0, 1, one, BINS - 1, BINS - 1, BINS - 1]
    histogram = [[0, 1], [one, 8], [one + PER_DECADE, 1]]
    width = 10 ** (0.5 / PER_DECADE)
    found = quantiles(histogram, [0.1, 0.5, 1.0])
    assert found == pytest.approx([10.0**LOWEST, width, 10 * width])
    assert pooled([histogram, [[one, 2]]]) == [[0, 1], [one, 10], [one + PER_DECADE, 1]]
    assert quantiles([], [0.5]) == []


def test_quantiles_agree_with_numpy_s_within_a_bin() -> None:
    values = np.exp(np.random.default_rng(0).normal(-5, 2, 4000))
    counts = torch.bincount(bins(torch.from_numpy(values)), minlength=BINS)
    shares = [0.05, 0.25, 0.5, 0.75, 0.95]
    found = np.array(quantiles(outcomes.pairs(counts), shares))
    ratio = found / np.quantile(values, shares)
    assert (np.abs(np.log10(ratio)) < 1 / PER_DECADE).all()
