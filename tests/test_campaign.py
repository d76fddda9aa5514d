"""A results folder as a reader opens it, and the scores that statistics are made from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from closedloop.bench.campaign import Campaign, open_campaign
from closedloop.bench.errors import Misuse
from closedloop.bench.plan import Request, plan
from closedloop.bench.registry import Registry
from closedloop.bench.scores import by_task, complete_rows, matrix, scores
from closedloop.bench.store import Store
from closedloop.bench.trial import Record, Trial

REQUEST = Request(preset="smoke", lengths=[8], seeds=2, settings=["evaluate.iterations=[0, 4]"])


def trials() -> list[Trial]:
    """Of preset smoke at one length: three methods, two seeds."""
    return plan(REQUEST, Registry())


def record_of(trial: Trial, right: dict[int, int], status: str = "ok") -> Record:
    """A record of 100 tokens in 10 rows, of which so many are right at each budget."""
    metrics = [
        ["test", trial.length, k, "all", 0, metric, n, min(count, n)]
        for k, count in right.items()
        for metric, n in (("token", 100), ("sequence", 10))
    ]
    rules = {"majority": [["all", 0, "token", 100, 55], ["all", 0, "sequence", 10, 1]]}
    told = {"rows": 10, "form": {}, "rules": rules, "levels": {"chance": 0.5}}
    return Record(
        trial=trial,
        status=status,
        reason="" if status == "ok" else "it broke",
        metrics=metrics if status == "ok" else [],
        costs={"trained_iterations": 2 if trial.method == "eqt" else 0} if status == "ok" else {},
        data={str(trial.length): told},
    )


@pytest.fixture
def campaign(tmp_path: Path) -> Campaign:
    """eqt scores 60, 80 at K = 0 and 70, 90 at 4; gru 100 and a crash; the transformer is out."""
    store = Store(tmp_path)
    every = {(t.row, t.seed): t for t in trials()}
    store.save_plan("smoke", every.values())
    store.save(record_of(every["eqt", 0], {0: 60, 4: 70}))
    store.save(record_of(every["eqt", 1], {0: 80, 4: 90}))
    store.save(record_of(every["gru", 0], {0: 100}))
    store.save(record_of(every["gru", 1], {}, "crash"))
    return open_campaign(tmp_path)


def test_a_folder_opens_with_its_plan_and_its_records(campaign: Campaign) -> None:
    assert campaign.preset == "smoke" and len(campaign.trials) == 6 and len(campaign.records) == 4
    assert campaign.rows == ["eqt", "gru", "transformer"] and campaign.seeds == 2
    assert campaign.tasks == ["parity"] and campaign.remarks == ()


def test_a_failure_counts_as_chance_at_its_row_s_budgets_or_is_left_out(campaign) -> None:
    found = scores(campaign)
    gru = found[found["method"] == "gru"].set_index("seed")
    assert gru.loc[1, ["value", "normalised", "status"]].to_list() == [0.5, 0.0, "crash"]
    assert list(gru["trained"]) == [True, True]
    out = scores(campaign, failures="out")
    assert len(out) == len(found) - 1 and set(out["status"]) == {"ok"}


def test_scores_are_normalised_from_chance_to_the_ceiling(campaign: Campaign) -> None:
    found = scores(campaign)
    eqt = found[found["method"] == "eqt"]
    assert list(eqt["value"]) == [0.6, 0.8, 0.7, 0.9]
    assert list(eqt["normalised"]) == pytest.approx([0.2, 0.6, 0.4, 0.8])
    assert list(eqt["iterations"]) == [0, 0, 4, 4]
    assert list(eqt["trained"]) == [True, True, False, False]  # trained with 2: 0 is below it


def test_of_another_metric_the_commonest_class_stands_for_chance(campaign: Campaign) -> None:
    found = scores(campaign, "sequence")
    assert set(found["chance"]) == {0.1} and set(found["metric"]) == {"sequence"}


def test_a_failure_with_no_peer_has_its_task_s_own_chance(tmp_path: Path) -> None:
    (trial, *_) = trials()
    Store(tmp_path).save(record_of(trial, {}, "oom"))
    (line,) = scores(open_campaign(tmp_path)).itertuples()
    assert (line.value, line.normalised, line.iterations, line.status) == (0.5, 0.0, 0, "oom")


def test_a_task_weighs_once_and_a_budget_is_taken_from_below(campaign: Campaign) -> None:
    found = scores(campaign)
    own = by_task(found)
    assert matrix(own, "eqt", ["parity"]) == [pytest.approx([0.2, 0.6])]
    at = by_task(found, budget=4)
    assert matrix(at, "eqt", ["parity"]) == [pytest.approx([0.4, 0.8])]
    assert matrix(at, "gru", ["parity"]) == [[1.0, 0.0]]


def test_rows_that_are_not_planned_everywhere_are_not_complete(campaign: Campaign) -> None:
    assert complete_rows(campaign) == ["eqt", "gru", "transformer"]
    further = replace(campaign.trials[0], length=16, test_lengths=(16,))
    wider = replace(campaign, trials=[*campaign.trials, further])
    assert complete_rows(wider) == [further.row]


def test_without_a_noted_plan_the_shipped_preset_is_the_denominator(tmp_path: Path) -> None:
    (trial, *_) = plan(Request(preset="smoke"), Registry())
    Store(tmp_path).save(record_of(trial, {0: 50}))
    campaign = open_campaign(tmp_path)
    assert len(campaign.trials) == len(plan(Request(preset="smoke"), Registry()))


def test_another_preset_s_records_are_told_and_left_out(campaign: Campaign) -> None:
    other = replace(campaign.records[0].trial, preset="mine")
    campaign.store.save(record_of(other, {0: 50}))
    again = open_campaign(campaign.store.folder)
    assert len(again.records) == 4
    assert again.remarks == ("1 record(s) of preset mine left out (shown with --preset mine)",)
    assert [r.trial for r in open_campaign(campaign.store.folder, "mine").records] == [other]


def test_one_name_under_two_sets_of_options_shows_the_planned_one(campaign: Campaign) -> None:
    trial = campaign.records[0].trial
    other = replace(trial, train={**trial.train, "rows": 7777})
    campaign.store.save(record_of(other, {0: 1}))
    again = open_campaign(campaign.store.folder)
    assert {r.trial.id for r in again.records} == {r.trial.id for r in campaign.records}
    assert "1 record(s) left out" in again.remarks[0] and trial.name in again.remarks[0]


def test_a_later_run_of_other_options_takes_the_name_over(campaign: Campaign) -> None:
    changed = plan(replace(REQUEST, settings=["train.rows=64"]), Registry())
    campaign.store.save_plan("smoke", changed)
    assert {t.id for t in campaign.store.load_plan("smoke")} == {t.id for t in changed}


def test_a_method_that_is_not_at_hand_is_told_and_kept(tmp_path: Path) -> None:
    trial = replace(trials()[0], method="<script>", task="riddle")
    Store(tmp_path).save(record_of(trial, {0: 80}))
    campaign = open_campaign(tmp_path)
    assert [remark.split(" is")[0] for remark in campaign.remarks] == [
        "method <script>",
        "task riddle",
    ]
    (line,) = scores(campaign).itertuples()
    assert (line.method, line.task, line.metric, line.value) == ("<script>", "riddle", "token", 0.8)


@pytest.mark.parametrize(("make", "told"), [(False, "no results folder"), (True, "no records in")])
def test_a_folder_without_results_is_refused_in_one_line(tmp_path, make: bool, told: str) -> None:
    folder = tmp_path / "x"
    if make:
        folder.mkdir()
    with pytest.raises(Misuse, match=told) as raised:
        open_campaign(folder)
    assert "\n" not in str(raised.value)


def test_a_preset_that_the_folder_lacks_is_refused(campaign: Campaign) -> None:
    with pytest.raises(Misuse, match="no preset in this folder 'smok'. Did you mean 'smoke'"):
        open_campaign(campaign.store.folder, "smok")


def test_a_large_folder_gives_the_frame_of_a_small_one(campaign: Campaign, monkeypatch) -> None:
    """From the index, or from the records where these were never saved."""
    small = campaign.frame
    monkeypatch.setattr("closedloop.bench.campaign.MANY", 1)
    columns = list(small.columns)
    indexed = open_campaign(campaign.store.folder).frame
    assert list(indexed.columns) == columns
    order = ["trial_id", "iterations", "metric"]
    for frame in (indexed, replace(campaign, store=Store(campaign.store.folder / "no")).frame):
        ordered = frame.sort_values(order, ignore_index=True)[columns].astype(object)
        assert ordered.equals(small.sort_values(order, ignore_index=True).astype(object))
