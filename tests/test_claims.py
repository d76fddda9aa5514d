"""Claims: their rules by hand, verdicts on made-up records, and that none takes the others down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from page_makers import campaign, trial

from closedloop.bench.claims import CLAIMS, a1, verdicts
from closedloop.bench.claims.arms import arms_table
from closedloop.bench.claims.claim import Finding, Verdict, above, below, exact, holds, within
from closedloop.bench.claims.e4 import share_under
from closedloop.bench.claims.evidence import Evidence
from closedloop.bench.claims.reported import tables_of
from closedloop.bench.claims.table import claim_table, figure_text, verdict_table
from closedloop.bench.claims.verdicts import judge, judged, plots
from closedloop.bench.cli import main
from closedloop.bench.figures.figure import Drawing
from closedloop.bench.stats.intervals import Interval
from closedloop.bench.trial import Record, Trial

NAN = float("nan")
ROWS = {"transformer": "transformer", "eqt": "eqt", "transformer-depth3": "transformer"}
LENGTHS, SEEDS = (8, 16, 32), 5
Right = Callable[[str, int, int, int], float]
"""(row, length, seed, budget) -> right tokens of 1,000."""


def made(asked: Trial, right: Right) -> Record:
    """A record with the accuracy asked for, settled from the first step on."""
    row, length, seed = asked.row, asked.length, asked.seed
    budgets = (0, 1, 2, 4, 8, 32) if row.startswith("eqt") else (0,)
    metrics = [
        ["test", length, k, "all", 0, metric, 1000, value]
        for k in budgets
        for metric, value in (
            ("token", right(row, length, seed, k)),
            ("gained", k and 3),
            ("lost", k and 1),
            ("change", 0.2 * bool(k)),
        )
    ]
    cost = 1.2 if row == "eqt" else 1.0
    costs = {
        "parameters": 100 * cost,
        "train_flops": 1e9 * cost,
        "answer_flops_per_token": {str(k): 100.0 + 20 * k for k in budgets},
        "trained_iterations": 2 if row == "eqt" else 0,
    }
    traces = {str(length): {"change": {"6": [[2, 97], [80, 3]], "1": [[80, 100]]}}}
    return Record(
        trial=asked, status="ok", metrics=metrics, costs=costs, traces=traces, environment={}
    )


def evidence(
    folder: Path, right: Right, seeds: int = SEEDS, rows: dict[str, str] = ROWS
) -> Evidence:
    """Rows on parity of three lengths."""
    trials = [
        trial(row, length, seed, method)
        for row, method in rows.items()
        for length in LENGTHS
        for seed in range(seeds)
    ]
    for asked in trials:
        asked.evaluate["iterations"] = [0, 1, 2, 4, 8, 32]
    found = Evidence()
    records = [made(asked, right) for asked in trials]
    found.__dict__["main"] = campaign(folder, trials, records)
    return found


def headline(name: str, of: Evidence) -> Finding:
    return judge(name, of).headlines[0]


# ---- rules -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "up", "inside"),
    [
        (0.1, 0.9, "supported", "supported"),
        (-0.9, -0.1, "contradicted", "contradicted"),
        (-0.1, 0.9, "not supported", "not supported"),
        (1.1, 1.9, "supported", "contradicted"),
        (NAN, NAN, "not supported", "not supported"),
    ],
)
def test_an_interval_is_judged_by_both_of_its_limits(low, high, up, inside) -> None:
    figure = Interval((low + high) / 2, low, high, 5)
    turned = Interval(-figure.mean, -high, -low, 5)
    assert above(figure).value == up == below(turned, 0.0).value
    assert within(figure, 0.0, 1.0).value == inside


def test_an_exact_statement_holds_within_rounding_and_nan_refutes_it() -> None:
    assert holds(1e-12, 1e-9) is Verdict.SUPPORTED
    assert holds(1e-6, 1e-9) is holds(NAN, 1e-9) is Verdict.CONTRADICTED


def test_a_finding_has_a_figure_or_says_what_to_run() -> None:
    with pytest.raises(ValueError, match="never both"):
        Finding(part="x", measured="y", verdict=Verdict.SUPPORTED)
    with pytest.raises(ValueError, match="never both"):
        Finding(part="x", measured="y", verdict=Verdict.NOT_RUN, figure=exact(1, 1), note="z")
    with pytest.raises(ValueError, match="what to run"):
        Finding(part="x", measured="y", verdict=Verdict.NOT_RUN)


# ---- the experiment's claims on made-up records ------------------------------------------------


def test_a_gain_at_every_seed_supports_e1_and_its_loss_contradicts_it(tmp_path: Path) -> None:
    def gain(points: float) -> Right:
        return lambda row, length, seed, k: 800 + seed + (points * 10 if row == "eqt" else 0)

    found = headline("E1", evidence(tmp_path, gain(2.0)))
    assert found.verdict is Verdict.SUPPORTED and found.figure is not None
    assert found.figure.mean == pytest.approx(2.0) and found.figure.n == SEEDS
    assert len(found.trials) == 2 * SEEDS * len(LENGTHS)
    assert headline("E1", evidence(tmp_path, gain(-2.0))).verdict is Verdict.CONTRADICTED


def test_a_gain_of_noise_supports_nothing_and_one_seed_neither(tmp_path: Path) -> None:
    noisy: Right = lambda row, length, seed, k: 800 + (row == "eqt") * 30 * (seed - 2)  # noqa: E731
    assert headline("E1", evidence(tmp_path, noisy)).verdict is Verdict.NOT_SUPPORTED
    sure: Right = lambda row, length, seed, k: 800 + (row == "eqt") * 30  # noqa: E731
    assert headline("E1", evidence(tmp_path, sure, seeds=1)).verdict is Verdict.NOT_SUPPORTED


def test_growth_is_a_slope_over_doublings(tmp_path: Path) -> None:
    doubling = {8: 0, 16: 1, 32: 2}

    def right(row: str, length: int, seed: int, k: int) -> float:
        return 900 - 50 * doubling[length] + seed + (row == "eqt") * 15 * doubling[length]

    parts = {f.part: f for f in judge("E1", evidence(tmp_path, right)).findings}
    figure = parts["growth with length"].figure
    assert figure is not None and figure.mean == pytest.approx(1.5)
    harder = parts["growth with difficulty, the mean of both"].figure
    # the mean of both falls by 4.25 points a doubling, in which the gain grows by 1.5
    assert harder is not None and harder.mean == pytest.approx(15 / 4.25)


def test_e2_is_about_the_same_weights(tmp_path: Path) -> None:
    """A gain in training alone, the same at every K, does not support it."""
    inert: Right = lambda row, length, seed, k: 800 + seed + (row == "eqt") * 50  # noqa: E731
    found = headline("E2", evidence(tmp_path, inert))
    assert found.verdict is Verdict.NOT_SUPPORTED and found.figure is not None
    assert found.figure.mean == 0
    refines: Right = lambda row, length, seed, k: 800 + seed + 5 * min(k, 8)  # noqa: E731
    found = headline("E2", evidence(tmp_path, refines))
    assert found.verdict is Verdict.SUPPORTED and found.figure is not None
    assert found.figure.mean == pytest.approx(4.0)


def test_e3_tells_what_the_control_cost_and_what_is_missing(tmp_path: Path) -> None:
    right: Right = lambda row, length, seed, k: 800 + seed - 20 * (row == "eqt")  # noqa: E731
    compute, parameters = judge("E3", evidence(tmp_path, right)).headlines
    assert compute.verdict is Verdict.CONTRADICTED and "120 to 100" in compute.note
    assert parameters.verdict is Verdict.NOT_RUN and "transformer-feed" in parameters.note


def test_e3_after_ten_times_the_updates_says_where_both_stand(tmp_path, monkeypatch) -> None:
    right: Right = lambda row, length, seed, k: 990 + seed - 2 * (row == "eqt")  # noqa: E731
    found = evidence(tmp_path, right)
    monkeypatch.setattr(found, "campaign", {"small-long": found.main}.get)
    parts = [each for each in judge("E3", found).findings if each.part.startswith("ten times")]
    assert [each.part.rpartition(" ")[2] for each in parts] == ["8", "16", "32"] * 2
    assert parts[0].figure is not None and parts[0].figure.mean == pytest.approx(-0.2)
    assert parts[0].note == "eqt at K = 8 99.00 %, transformer 99.20 %"


@pytest.mark.parametrize(
    ("wins", "told", "verdict"),
    [
        (["dyck", "mod_arith", "parity"], True, "supported"),
        (["addition", "dyck", "mod_arith"], True, "not supported"),  # all but parity
        (["dyck", "parity"], True, "not supported"),
        ([], True, "contradicted"),
        ([], False, "not supported"),  # one seed has no interval: it contradicts nothing
    ],
)
def test_a1_takes_parity_and_two_other_tasks(wins: list[str], told: bool, verdict: str) -> None:
    found = a1.won("part", "tasks", wins, 5, (), told)
    assert found.verdict.value == verdict
    assert found.figure is not None and (found.figure.mean, found.figure.n) == (len(wins), 5)


def test_a1_counts_a_task_once(tmp_path: Path) -> None:
    """Parity tested further is parity; a group that stands alone is a task under its own name."""
    asked = [trial("eqt-plus", 8, 0, "eqt-plus")]
    asked += [replace(asked[0], task_variant="parity-far")]
    asked += [replace(asked[0], task="group_word", task_variant="group_word-s3")]
    assert a1.counted(campaign(tmp_path, asked, [])) == ["group_word-s3", "parity"]
    assert a1.asked(campaign(tmp_path, asked, [])) == ["group_word-s3", "parity", "parity-far"]


def test_a1_with_one_seed_decides_nothing(tmp_path: Path) -> None:
    """Below its own K = 0 by far, but on a single seed; on five it is contradicted."""
    rows = {"eqt-plus": "eqt-plus"}
    worse: Right = lambda row, length, seed, k: 900 + seed - 50 * k  # noqa: E731
    one = headline("A1", evidence(tmp_path, worse, 1, rows))
    assert one.verdict is Verdict.NOT_SUPPORTED
    assert headline("A1", evidence(tmp_path, worse, 5, rows)).verdict is Verdict.CONTRADICTED


def test_the_arms_stand_in_one_table_beside_a1(tmp_path: Path) -> None:
    """Against the shipped row by seed, with what differs; an arm that never ran has a line too."""
    rows = {"eqt-plus": "eqt-plus", "eqt-plus-map": "eqt-plus", "eqt-plus-each": "eqt-plus"}
    right: Right = lambda row, length, seed, k: 900 + seed - 100 * row.endswith("map")  # noqa: E731
    of = evidence(tmp_path, right, 5, rows)
    assert of.main is not None
    kept = [each for each in of.main.records if each.trial.row != "eqt-plus-each"]
    plus = replace(of.main, records=kept)
    of.campaign = lambda preset: plus if preset == "plus" else None  # type: ignore[method-assign]
    (table,) = arms_table(of)
    frame = table.frame[table.frame["L"] == "16"].set_index("arm")
    assert list(frame.index) == ["eqt-plus", "eqt-plus-each", "eqt-plus-map"]
    assert frame["less eqt-plus, K = 8"]["eqt-plus-map"] == "-10.00 [-10.00, -10.00]"
    assert frame["K = 8"]["eqt-plus-map"].startswith("80.20 [")
    assert frame["K = 8"]["eqt-plus-each"] == frame["trials"]["eqt-plus-each"] == "-"
    assert list(frame["seeds"]) == ["5/5", "0/5", "5/5"]
    assert [each.name for each in tables_of([judge("E4", of)], {}, of)] == ["claims", "claim-e4"]
    assert tables_of([judge("A1", of)], {}, of)[-1].name == "claim-a1-arms"
    of.campaign = lambda preset: None  # type: ignore[method-assign]
    assert not arms_table(of)


def test_e4_counts_the_tokens_under_the_threshold(tmp_path: Path) -> None:
    assert share_under([[0, 5], [48, 90], [49, 5]]) == 95  # 1e-3 is the lower edge of bin 49
    right: Right = lambda row, length, seed, k: 800  # noqa: E731
    found = headline("E4", evidence(tmp_path, right))
    assert found.figure is not None and found.figure.mean == pytest.approx(97 - 94)
    assert found.verdict is Verdict.SUPPORTED


def test_e5_counts_ratios(tmp_path: Path) -> None:
    right: Right = lambda row, length, seed, k: 800  # noqa: E731
    found = {f.part: f for f in judge("E5", evidence(tmp_path, right)).headlines}
    parameters = found["parameters, parity 32"]
    assert parameters.figure is not None and parameters.figure.mean == pytest.approx(1.2)
    assert parameters.verdict is Verdict.CONTRADICTED
    answers = found["FLOPs of an answer at K = 8, parity 32"]
    assert answers.figure is not None and answers.figure.mean == pytest.approx(2.6)
    assert answers.verdict is Verdict.SUPPORTED


@pytest.mark.parametrize("name", ["E1", "E2", "E3", "E4", "E5"])
def test_every_plot_of_the_experiment_is_drawn_from_records(name: str, tmp_path: Path) -> None:
    right: Right = lambda row, length, seed, k: 700 + seed + length + k  # noqa: E731
    of = evidence(tmp_path, right)
    (found,) = plots(judge(name, of), of)
    assert isinstance(found, Drawing) and len(found.data)


# ---- the table and the command -----------------------------------------------------------------


def test_every_claim_of_the_paper_is_in_the_table() -> None:
    told = "P1 T2 T3 T4 C5 T6 T7 T8 P9 E1 E2 E3 E4 E5"
    assert list(CLAIMS)[:14] == told.split()


def test_without_records_the_experiment_says_what_to_run() -> None:
    for each in judged(Evidence(), ["E1", "E2", "E3", "E4", "E5"]):
        for finding in each.headlines:
            assert finding.verdict is Verdict.NOT_RUN and "pytest bench/" in finding.note


def test_a_claim_that_breaks_does_not_take_the_others_down(monkeypatch) -> None:
    monkeypatch.setitem(CLAIMS, "E1", "closedloop.bench.claims.no_such_file:CLAIM")
    found = judged(Evidence(), ["E1", "E2"])
    frame = verdict_table(found).frame
    assert list(frame["claim"]) == ["E1", "E2"] and "does not load" in frame["note"][0]


def test_an_examination_that_raises_is_told(monkeypatch, tmp_path: Path) -> None:
    of = evidence(tmp_path, lambda row, length, seed, k: 800)
    monkeypatch.setattr(verdicts, "load", lambda name: _Broken())
    found = judge.__wrapped__("E1", of)
    assert found.findings[0].verdict is Verdict.NOT_RUN
    assert "could not be examined: KeyError" in found.findings[0].note


class _Broken:
    def examine(self, of: Evidence) -> None:
        raise KeyError("x")


def test_the_table_of_a_claim_names_rule_and_trials(tmp_path: Path) -> None:
    of = evidence(tmp_path, lambda row, length, seed, k: 800 + seed + (row == "eqt"))
    text = claim_table(judge("E1", of)).render("md")
    assert of.main is not None and of.main.trials[0].id[:8] in text
    assert "Rule: supported where" in text
    for form in ("md", "latex", "html", "csv", "text"):
        assert "supported" in verdict_table([judge("E1", of)]).render(form)


def test_figures_have_limits_where_they_were_drawn() -> None:
    sampled = Interval(1.994, 0.381, 3.607, 5)
    finding = Finding(part="x", measured="y", verdict=Verdict.SUPPORTED, figure=sampled)
    assert figure_text(finding) == "1.99 [0.38, 3.61]"
    counted = Finding(part="x", measured="y", verdict=Verdict.SUPPORTED, figure=exact(1e-9, 3))
    assert figure_text(counted) == "1e-09"


def test_the_command_prints_and_writes(tmp_path: Path, capsys) -> None:
    assert main(["claims", "--claims", "E1,E4", "--out", str(tmp_path / "out")]) == 0
    assert "not run here" in capsys.readouterr().out
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"claims.md", "claims.tex", "claims.csv", "claims.html", "claim-e1.md"} <= written


def test_an_unknown_claim_and_a_missing_folder_are_one_line(tmp_path: Path, capsys) -> None:
    assert main(["claims", "--claims", "E9"]) == 4
    assert "no claim 'E9'" in capsys.readouterr().err
    assert main(["claims", "--results", str(tmp_path / "none")]) == 4
    assert "no results folder" in capsys.readouterr().err
