"""Statistics and tables, and the console command over a small run of our own."""

import math
import shutil
import subprocess

import pandas as pd
import pytest
import torch
from scipy import stats

from closedloop.bench.arena import open_arena
from closedloop.bench.cli import main
from closedloop.bench.costs import answering_flops, count_flops, training_flops
from closedloop.bench.leaderboard import effective_table, leaderboard
from closedloop.bench.levels import strongest_rule
from closedloop.bench.plan import Request, plan
from closedloop.bench.registry import Registry
from closedloop.bench.stats.intervals import seed_interval
from closedloop.bench.tables import FORMATS, engineering, tidy
from closedloop.bench.view import View
from closedloop.methods.method import Sizes, build
from closedloop.tasks.parity import Parity

SETTINGS = ["train.rows=128", "train.epochs=2", "evaluate.rows=64", "evaluate.iterations=[0, 1, 4]"]


@pytest.fixture(scope="module")
def arena(tmp_path_factory):
    """Three methods, two lengths, two seeds, trained for a moment."""
    results = str(tmp_path_factory.mktemp("results"))
    request = Request(preset="smoke", seeds=2, settings=SETTINGS)
    found = open_arena(request, results=results, device="cpu", executor="inline")
    found.store.require_writable()
    assert len(list(found.run(found.trials, print))) == 12
    return found


def words(arena, *more: str) -> list[str]:
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    place = ["--preset", "smoke", "--seeds", "2", "--results", str(arena.store.folder)]
    return [*more, *place, *settings]


def test_intervals_are_student_s_t() -> None:
    values = [0.2, 0.4, 0.9]
    low, high = stats.t.interval(0.95, 2, loc=0.5, scale=stats.sem(values))
    found = seed_interval(values)
    assert (found.mean, found.low, found.high) == pytest.approx((0.5, low, high))
    cut = seed_interval(values, 0, 1)
    assert (cut.low, cut.high) == (0, 1)


def test_one_seed_has_no_interval_and_none_has_no_mean() -> None:
    assert math.isnan(seed_interval([0.5]).low) and seed_interval([0.5]).mean == 0.5
    assert math.isnan(seed_interval([]).mean)


def test_counts_in_a_record_add_up(arena) -> None:
    """Every row axis partitions the test tokens, and shares lie between 0 and 1."""
    frame = tidy(arena.records(), axes=None)
    tokens = frame[(frame["metric"] == "token") & (frame["split"] == "test")]
    keys = ["trial_id", "iterations"]
    whole = tokens[tokens["axis"] == "all"].set_index(keys)[["n", "sum"]]
    for axis in ("density", "band", "seen"):
        parts = tokens[tokens["axis"] == axis].groupby(keys)[["n", "sum"]].sum()
        assert parts.sort_index().equals(whole.sort_index())
    assert (whole["n"] == 64 * 8).any() and ((whole["sum"] / whole["n"]).between(0, 1)).all()


def test_accuracies_agree_with_the_model_s_own_answers(arena) -> None:
    """The recorded counts of an EqT are consistent: flips explain every difference to K = 0."""
    record = next(r for r in arena.records() if r.trial.method == "eqt")
    frame = tidy([record])
    sums = frame[frame["split"] == "test"].set_index(["iterations", "metric"])["sum"]
    for budget in (1, 4):
        gained, lost = sums[budget, "gained"], sums[budget, "lost"]
        assert sums[budget, "token"] == sums[0, "token"] + gained - lost
        assert sums[budget, "used"] == budget * 64 * record.trial.length


def test_costs_count_iterations_and_parameters(arena) -> None:
    by_method = {r.trial.method: r.costs for r in arena.records() if r.trial.length == 16}
    eqt = by_method["eqt"]["answer_flops_per_token"]
    assert eqt["0"] == by_method["transformer"]["answer_flops_per_token"]["0"]
    steps = [eqt["1"] - eqt["0"], (eqt["4"] - eqt["0"]) / 4]
    assert 0 < steps[1] < steps[0]  # binding the energy is paid once
    assert by_method["eqt"]["parameters"] > by_method["transformer"]["parameters"]
    assert list(by_method["gru"]["answer_flops_per_token"]) == ["0"]


def test_the_transformer_s_flops_by_hand(arena) -> None:
    """Width 32, one block, L = 16: 2 · 16 d² for weights, 2 · 2 L d for attention, the head."""
    costs = next(
        r.costs for r in arena.records() if r.trial.method == "transformer" and r.trial.length == 16
    )
    by_hand = 2 * 16 * 32**2 + 2 * 2 * 16 * 32 + 2 * 32 * 2
    assert costs["answer_flops_per_token"]["0"] == by_hand


@pytest.mark.parametrize(("name", "gates"), [("gru", 3), ("lstm", 4)])
def test_a_recurrent_net_s_flops_by_hand(name: str, gates: int) -> None:
    """A width of 8: two maps of every gate for the input and the state, and the head."""
    method = Registry().method(name)
    model = build(method, method.Config(width=8, depth=1), Sizes(2, 2, 5), 0)
    rows = Parity().sample(2, 5, 0, "test").to("cpu")
    by_hand = 2 * 2 * gates * 8**2 + 2 * 8 * 2
    assert answering_flops(model, rows, [0]) == {"0": by_hand}


@pytest.mark.parametrize("name", ["transformer", "eqt-plus"])
def test_training_flops_are_the_mean_over_lengths(name: str) -> None:
    """Counted at one place of the schedule where they are the same at all, else at every one."""
    method = Registry().method(name)
    model = build(method, method.Config(width=8, depth=1, heads=1), Sizes(2, 2, 8), 0)
    parts = [Parity().sample(4, length, 0, "train") for length in (3, 8)]
    alone = [training_flops(model, [part]) for part in parts]
    assert training_flops(model, parts) == pytest.approx(sum(alone) / 2) and alone[0] < alone[1]


def test_triangular_systems_are_counted() -> None:
    """torch's own counter passes over them; half of n² entries, a product and a sum each."""
    system, right = torch.eye(8).repeat(3, 1, 1), torch.ones(3, 8, 5)
    found = count_flops(lambda: torch.linalg.solve_triangular(system, right, upper=False))
    assert found == 3 * 8 * 8 * 5


def test_the_leaderboard_shows_every_planned_method_and_level(arena) -> None:
    tables = {table.name: table for table in arena.tables()}
    token = tables["leaderboard-parity-token"].frame
    assert list(token.columns) == ["method", "K", "L=8", "L=16", "trials"]
    rules = ["(rule: latest nonzero)", "(rule: majority)"]
    methods = [*["eqt"] * 3, "gru", "transformer"]
    assert list(token["method"]) == [*methods, *rules, "(shortcut)", "(chance)"]
    sequence = tables["leaderboard-parity-sequence"].frame
    assert list(sequence["method"]) == [*methods, *rules]
    assert set(token["trials"][:5]) == {"4/4"}
    assert "failures" not in tables


def test_lengths_beyond_the_trained_one_have_a_table_of_their_own(tmp_path) -> None:
    settings = ["train.rows=64", "train.epochs=1", "evaluate.rows=32", "evaluate.iterations=[0]"]
    request = Request(
        preset="smoke",
        methods=["gru", "transformer"],
        lengths=[8],
        settings=[*settings, "parity.extrapolate=[4, 12, 24]"],
    )
    found = open_arena(request, results=str(tmp_path), device="cpu", executor="inline")
    found.store.require_writable()
    list(found.run(found.trials, print))
    tables = {table.name: table.frame for table in found.tables()}
    assert list(tables["leaderboard-parity-token"].columns) == ["method", "K", "L=8", "trials"]
    beyond = tables["leaderboard-parity-from-8-token"]
    effective = "L at ≥ 90 %"
    assert list(beyond.columns) == ["method", "K", "L=8", "L=12", "L=24", effective, "trials"]
    assert list(beyond[effective][:2]) == ["0", "0"] and beyond[effective][2] == ""
    frame = tidy(found.records())
    row = frame[(frame["method"] == "gru") & (frame["length"] == 24) & (frame["metric"] == "token")]
    assert beyond["L=24"][0] == f"{100 * row['sum'].iloc[0] / row['n'].iloc[0]:.2f}"


def test_rules_in_a_record_are_what_they_score_on_its_test_rows(arena) -> None:
    record = next(r for r in arena.records() if r.trial.length == 8)
    test = Parity().sample(64, 8, 0, "test").to("cpu")
    (rule,) = Parity().rules().values()
    right = rule(test.inputs) == test.targets
    rows = {tuple(row[:3]): row[3:] for row in record.data["8"]["rules"]["latest nonzero"]}
    assert rows["all", 0, "token"] == [64 * 8, int(right.sum())]
    assert rows["all", 0, "sequence"] == [64, int(right.all(1).sum())]
    name, share = strongest_rule([record], 8, "token")
    assert name == "latest nonzero" and share == pytest.approx(float(right.double().mean()))


def test_rows_met_in_training_are_told_below_the_table(arena) -> None:
    table = next(t for t in arena.tables() if t.name == "leaderboard-parity-token")
    (note,) = (note for note in table.notes if note.startswith("Test rows that stand in training"))
    for length in (8, 16):
        records = [r for r in arena.records() if r.trial.length == length]
        share = max(record.data[str(length)]["overlap"] for record in records)
        assert (f"L={length} {100 * share:.1f} %" in note) == (share > 0)
    assert "L=8 " in note  # 128 training rows of the 256 strings there are


def test_the_effective_length_is_the_longest_that_a_seed_solves() -> None:
    """Shares 1, .8, .95 at 8, 12, 24 of one seed and 1, .9, .5 of another: 8 and 12."""
    scores = pd.DataFrame(
        [
            ["gru", 0, seed, length, "token", 100, round(100 * share)]
            for seed, shares in enumerate([(1, 0.8, 0.95), (1, 0.9, 0.5)])
            for length, share in zip((8, 12, 24), shares, strict=True)
        ],
        columns=["method", "iterations", "seed", "length", "metric", "n", "sum"],
    )
    trials = plan(Request(preset="smoke", methods=["gru"], lengths=[8], seeds=2), Registry())
    view = View("parity", "parity", trials, [], scores, [8, 12, 24], Registry())
    frame = effective_table(view, "token").frame
    assert frame["L at ≥ 90 %"][0] == "10 [8, 12]"


def test_a_table_tells_what_a_method_is_not(arena) -> None:
    trial = next(t for t in arena.trials if t.method == "gru")
    leaky = type("Leaky", (arena.registry.method("gru"),), {"causal": False, "anytime": False})
    registry = Registry(methods={**arena.registry.methods, "gru": leaky})
    tables = leaderboard(arena.trials, arena.records(), registry)
    token = next(t for t in tables if t.name == "leaderboard-parity-token").frame
    assert dict(zip(token["method"], token["is not"], strict=True)) == {
        **dict.fromkeys(token["method"], ""),
        trial.row: "causal, anytime",
    }


def test_missing_trials_are_counted_not_hidden(arena) -> None:
    wider = open_arena(
        Request(preset="smoke", seeds=3, settings=SETTINGS), results=str(arena.store.folder)
    )
    token = next(table for table in wider.tables() if table.name.endswith("-token")).frame
    assert set(token["trials"][:5]) == {"4/6"}


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_every_table_renders(arena, form: str) -> None:
    for table in arena.tables():
        text = table.render(form)
        assert str(table.frame.iloc[0, 0]) in text.replace("\\", "")


def test_latex_compiles_as_it_is(arena, tmp_path) -> None:
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed")
    body = "\n".join(table.render("latex") for table in arena.tables())
    head = "\\documentclass{article}\\usepackage{booktabs,graphicx}\\begin{document}"
    (tmp_path / "t.tex").write_text(f"{head}\n{body}\n\\end{{document}}\n")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"],
        cwd=tmp_path,
        capture_output=True,
    )
    assert done.returncode == 0, done.stdout[-2000:]


def test_latex_is_balanced_and_escaped(arena) -> None:
    for table in arena.tables():
        text = table.render("latex")
        parts = text.count("\\begin{table}")  # a wide table is split
        assert text.count("\\begin{") == text.count("\\end{") == 2 * parts > 0
        assert text.count("\\toprule") == text.count("\\caption") == parts
        caption = text[text.index("\\caption") :]
        assert "%" not in caption.replace("\\%", "")


def test_engineering_notation() -> None:
    found = [engineering(v) for v in (0, 12, 1234, 5.6e9, 7.89e15)]
    assert found == ["0", "12", "1.23 k", "5.6 G", "7.89 P"]


def test_the_command_lists_shows_plans_tabulates_and_tells(arena, capsys) -> None:
    assert main(["list"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in ("eqt", "gru", "transformer", "parity", "smoke"))
    assert main(["show", "parity", "--rows", "2", "--length", "8"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("inputs") == 2 and "density" in shown and "SHA-256" in shown
    assert main(words(arena, "plan")) == 0
    assert "12 trials" in capsys.readouterr().out
    place = ["--results", str(arena.store.folder)]
    assert main(["table", "leaderboard-parity-token", "--format", "csv", *place]) == 0
    assert capsys.readouterr().out.startswith("method,K,L=8,L=16,trials")
    assert main(words(arena, "status")) == 0
    assert "12 ok" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command",
    [
        ["show", "party"],
        ["show", "parity", "--stratum", "density"],
        ["show", "parity", "--stratum", "dense=1"],
        ["show", "parity", "--stratum", "density=7/8"],
        ["show", "parity", "--rows", "0"],
        ["show", "sudoku", "--length", "25"],
        ["show", "parity", "--length", "0"],
        ["status", "--methods", "etq"],
    ],
)
def test_the_command_tells_misuse_in_one_line(command, capsys) -> None:
    assert main(command) == 4
    errors = capsys.readouterr().err
    assert errors.startswith("closedloop: ") and errors.count("\n") == 1
