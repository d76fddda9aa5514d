"""The speed bench: its rules by hand, peers that compute what ours do, the command end to end."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from closedloop.bench import speed
from closedloop.bench.cli import main
from closedloop.bench.errors import Misuse
from closedloop.bench.plan import Request, plan
from closedloop.bench.registry import Registry
from closedloop.bench.speed import LINES, harness, loops, scaling
from closedloop.bench.speed.blocks import torch_encoder
from closedloop.bench.speed.line import Line, Side, Where, outcome, race
from closedloop.bench.speed.models import model_of, own_training, rows_of
from closedloop.bench.speed.profiling import profile_table
from closedloop.bench.speed.report import load, machine_of, quantity, read, speed_table, told_by
from closedloop.bench.speed.scaling import exponents, exponents_table, scaling_figure
from closedloop.bench.speed_commands import lacking
from closedloop.bench.tables import CELL
from closedloop.methods.layers.delta import delta_recurrence
from closedloop.methods.method import Progress

WHERE, PLACE, REGISTRY = Where(), Progress(1, 10, 0), Registry()


def line(**how: object) -> Line:
    given = {"name": "x", "measured": "y", "bound": 1.2, "prepare": lambda where: []}
    return Line(**{**given, **how})  # type: ignore[arg-type]


def test_a_ratio_is_taken_within_a_round_against_the_best_peer() -> None:
    """A machine that slows down by ten in one round moves no ratio."""
    values = {"ours": [1.1, 11.0, 1.1], "slow": [5.0, 50.0, 5.0], "fast": [1.0, 10.0, 1.0]}
    found = outcome(line(), values)
    assert found.peer_name == "fast" and found.ratio == pytest.approx(1.1) and found.reached
    assert found.low == pytest.approx(1.1) and found.high == pytest.approx(1.1)
    assert not outcome(line(bound=1.0), values).reached


def test_a_speed_up_and_a_share_must_reach_their_bounds() -> None:
    seconds = {"dual": [1.0, 1.0], "primal": [6.0, 4.0]}
    found = outcome(line(bound=5.0, at_least=True, inverse=True), seconds)
    assert found.ratio == pytest.approx(5.0) and found.reached
    rates = {"step": [60.0, 60.0], "small product": [80.0, 80.0], "product": [110.0, 110.0]}
    share = outcome(line(bound=0.6, at_least=True), rates)
    assert share.peer_name == "product" and not share.reached
    assert not outcome(line(), {"ours": [float("nan")], "peer": [1.0]}).reached


@pytest.mark.parametrize("values", [{"ours": [1.0]}, {"ours": [1.0], "peer": [1.0, 2.0]}])
def test_a_race_needs_peers_in_every_round(values: dict[str, list[float]]) -> None:
    with pytest.raises(ValueError, match="two sides or more"):
        outcome(line(), values)


def test_sides_run_in_turn_and_the_warm_rounds_do_not_count() -> None:
    order: list[str] = []

    def slow() -> None:
        order.append("a")
        time.sleep(0.02)

    found = race([Side("a", slow), Side("b", lambda: order.append("b") or 7.0)], 2, 1, WHERE.device)
    assert order == list("ababab")
    assert found.values["b"] == [7.0, 7.0] and len(found.values["a"]) == 2
    assert min(found.values["a"]) >= 0.02


@pytest.mark.parametrize("name", LINES)
def test_every_line_loads_and_says_what_it_measures(name: str) -> None:
    found = load(name)
    assert found.name == name and found.bound > 0 and found.rounds >= 1
    assert "against" in found.measured and found.sizes
    assert max(len(found.measured), len(found.sizes)) <= CELL  # a table cuts what is longer


def test_the_peer_is_the_same_size_and_causal() -> None:
    """As many weights in the blocks as ours; what comes later changes nothing before it."""
    peer, ours = torch_encoder(16), model_of("transformer", 16, WHERE, feed_forward="plain")
    blocks = sum(w.numel() for w in ours.trunk.blocks.parameters() if w.dim() > 1)
    theirs = sum(w.numel() for w in peer.module.parameters() if w.dim() > 1)
    assert blocks == theirs
    state = torch.randn(1, 16, 256, generator=torch.Generator().manual_seed(0))
    later = state.clone()
    later[:, 9:] += 1
    with torch.no_grad():
        one, other = peer.blocks(state), peer.blocks(later)
    torch.testing.assert_close(one[:, :9], other[:, :9])
    assert not torch.allclose(one[:, 9:], other[:, 9:])


def test_x_transformers_is_asked_for_by_name_where_it_is_missing(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "x_transformers", None)
    with pytest.raises(Misuse, match="speed"):
        load("step-64").prepare(WHERE)


def test_torchdeq_alone_computes_what_ours_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same loss from the same weights: the race is over the same work."""
    monkeypatch.setattr(loops, "DEQ_LENGTH", 8)
    monkeypatch.setattr(loops, "DEQ_ROWS", 2)
    losses: list[float] = []

    def noted(_: object, loss) -> object:
        return lambda: losses.append(float(loss().detach()))

    monkeypatch.setattr(loops, "training", noted)
    monkeypatch.setattr(
        loops,
        "own_training",
        lambda model, rows: noted(model, lambda: model.loss(rows, PLACE).total),
    )
    for side in loops.deq_sides(WHERE):
        side.run()
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


@pytest.mark.parametrize("method", ["eqt", "gru"])
def test_the_bare_loops_take_every_update_and_every_budget(method: str, monkeypatch) -> None:
    """Of a trial cut short: as many updates and validations as the arena's trainer, every K."""
    cut = ["train.rows=128", "train.epochs=2", "train.validation_rows=64"]
    cut += ["evaluate.rows=16", "evaluate.iterations=[0, 2]"]
    (trial,) = plan(Request(preset="smoke", methods=[method], lengths=[8], settings=cut), REGISTRY)
    seen = {"loss": 0, "budgets": [], "answers": []}
    kind = REGISTRY.method(trial.method)
    loss, deliberate, answer = kind.loss, kind.deliberate, kind.answer

    def counted(self, *given):
        seen["loss"] += 1
        return loss(self, *given)

    def watched(self, inputs, iterations):
        if not self.training:  # an open loop's loss reads its own deliberation
            seen["budgets"].append(iterations)
        return deliberate(self, inputs, iterations)

    def answered(self, inputs, iterations):
        if not self.training:
            seen["answers"].append(iterations)
        return answer(self, inputs, iterations)

    monkeypatch.setattr(kind, "loss", counted)
    monkeypatch.setattr(kind, "deliberate", watched)
    monkeypatch.setattr(kind, "answer", answered)
    harness.bare_trial(trial, REGISTRY, WHERE)
    assert seen["loss"] == 2 * 128 // trial.train["batch"]
    validations = 2 * -(-64 // trial.train["batch"])
    if method == "eqt":  # one run to the highest K; it validates at the trained one
        assert seen["budgets"][-1] == 2 and seen["answers"] == [2] * validations
    else:
        assert seen["answers"] == [0] * (validations + 1)


def test_a_session_runs_every_trial_and_before_it_its_bare_loops() -> None:
    """Of `quick`, cut short: both sides take time, and starts and tables are the arena's."""
    cut = ("--methods", "gru", "--tasks", "parity", "--seeds", "2", "--set", "train.rows=128")
    cut += ("--set", "train.epochs=1", "--set", "evaluate.rows=16")
    ran: list[float] = []

    def run(where: Where, preset: str, *words: str) -> float:
        ran.append(harness.session(where, preset, *words, *cut))
        return ran[-1]

    arena, bare = harness.Overhead(WHERE, run).measure()
    assert 0 < bare < arena and arena + bare == pytest.approx(ran[0])


def test_a_session_gives_a_round_of_both_sides(monkeypatch) -> None:
    found = iter([(11.0, 10.0), (22.0, 20.0)])
    both = harness.Overhead(WHERE)
    monkeypatch.setattr(both, "measure", lambda: next(found))
    assert [both.take(side) for side in ("bare", "arena", "arena", "bare")] == [10, 11, 22, 20]


def test_the_plain_delta_rule_is_not_slowed_by_indexing() -> None:
    """Its gradients make no array as large as the row at every position: a fair peer."""
    drawn = [torch.randn(1, 1, 64, 4, requires_grad=True) for _ in range(3)]
    rates = torch.rand(1, 1, 64, requires_grad=True)
    with torch.profiler.profile() as seen:
        delta_recurrence(*drawn, rates).sum().backward()
    assert not any("SelectBackward0" in event.key for event in seen.key_averages())


def test_an_update_changes_the_weights() -> None:
    model = model_of("gru", 8, WHERE, width=16, depth=1)
    before = [w.detach().clone() for w in model.parameters()]
    own_training(model, rows_of(4, 8, WHERE))()
    assert any(not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_exponents_of_a_known_law() -> None:
    sizes = [32, 64, 128, 256, 512]
    points = pd.DataFrame(
        [
            {"dial": "L", "method": name, "size": n, "seconds": 1e-4 * n**power}
            for name, power in (("linear", 1.0), ("cubic", 3.0))
            for n in sizes
        ]
    )
    found = exponents(points).set_index("method")
    assert found["exponent"].to_dict() == pytest.approx({"linear": 1.0, "cubic": 3.0})
    assert found["within"].to_dict() == {"linear": True, "cubic": False}
    assert "1.00 [1.00, 1.00]" in exponents_table(points).render("md")
    more = pd.concat([points, points[points["method"] == "cubic"].assign(dial="d")])
    first, second = scaling_figure(more).axes
    (alone,) = (curve for curve in first.lines if curve.get_label() == "cubic")
    assert second.lines[0].get_color() == alone.get_color()  # a method has one in all panels


def test_exponents_are_kept_with_their_points_and_figure(tmp_path, monkeypatch, capsys) -> None:
    points = pd.DataFrame(
        [{"dial": "L", "method": "gru", "size": n, "seconds": 1e-4 * n} for n in (32, 64, 128)]
    )
    monkeypatch.setattr(scaling, "measured", lambda where: points)
    kept, out = tmp_path / "kept.json", tmp_path / "out"
    kept.write_text('{"benchmarks": []}')
    assert main(["speed", "--read", str(kept), "--scaling", "--out", str(out)]) == 0
    assert "1.00 [1.00, 1.00]" in capsys.readouterr().out
    assert pd.read_csv(out / "speed-growth.csv")["size"].tolist() == [32, 64, 128]
    assert "exponent" in (out / "speed-scaling.csv").read_text()
    assert (out / "speed-growth.svg").stat().st_size > 1000


def test_quantities_have_units() -> None:
    assert quantity(0.0123, "s") == "12.3 ms" and quantity(2.5e-6, "s") == "2.5 µs"
    assert quantity(1170.4, "s") == "1170 s"
    assert quantity(6.4e10, "FLOP/s") == "64 GFLOP/s" and quantity(286.7, "MiB") == "287 MiB"


def test_the_command_races_a_line_keeps_its_numbers_and_reads_them_again(tmp_path, capsys) -> None:
    out = tmp_path / "speed"
    assert main(["speed", "--lines", "eqt-slope", "--out", str(out), "--format", "csv"]) == 0
    printed = capsys.readouterr().out
    run = json.loads((out / "speed.json").read_text())
    (bench,) = run["benchmarks"]
    values = bench["extra_info"]["values"]
    assert list(values) == ["closed", "autograd"]
    rounds = load("eqt-slope").rounds
    assert all(len(each) == rounds and min(each) > 0 for each in values.values())
    ratio = np.median(np.array(values["closed"]) / np.array(values["autograd"]))
    assert f"{ratio:.2f} [" in printed and "eqt-slope" in printed
    assert main(["speed", "--read", str(out / "speed.json"), "--format", "csv"]) == 0
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize(
    "words", [["--lines", "step-65"], ["--threads", "0"], ["--read", "/none.json"]]
)
def test_misuse_is_told_in_one_line(words: list[str], capsys) -> None:
    assert main(["speed", *words]) == 4
    assert capsys.readouterr().err.startswith("closedloop: ")


def test_a_file_that_is_none_of_ours_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text('{"benchmarks": [{"stats": {}}]}')
    with pytest.raises(Misuse, match="closedloop speed"):
        read(path)


def test_every_line_that_is_lacking_has_its_own_reason() -> None:
    report = """<testsuites><testsuite>
    <testcase name="test_speed[delta]"/>
    <testcase name="test_speed[step-64]"><skipped message="no x-transformers"/></testcase>
    <testcase name="test_speed[mfu]"><skipped message="no rate"/></testcase>
    <testcase name="test_speed[jobs]"><failure message="Misuse: b&#10;c"/></testcase>
    </testsuite></testsuites>"""
    assert lacking(report) == {
        "step-64": "no x-transformers",
        "mfu": "no rate",
        "jobs": "failed: Misuse: b",
    }


def test_a_line_that_fails_is_told_and_the_others_stay(monkeypatch, tmp_path, capsys) -> None:
    """In a session of its own: a line whose peer is not there, one that breaks, one that runs."""
    plugin = tmp_path / "broken_lines.py"
    plugin.write_text(
        "from closedloop.bench import speed\n"
        "from closedloop.bench.errors import Misuse\n"
        "from closedloop.bench.speed.line import Line, Side\n"
        "def absent(where):\n    raise Misuse('no such peer')\n"
        "def broken(where):\n    return [Side('a', lambda: 1 / 0), Side('b', lambda: 1.0)]\n"
        "def fine(where):\n    return [Side('a', lambda: 1.0), Side('b', lambda: 2.0)]\n"
        "made = dict(bound=1.0, rounds=1, warm=0)\n"
        "A = Line(name='absent', measured='a', prepare=absent, **made)\n"
        "B = Line(name='broken', measured='b', prepare=broken, **made)\n"
        "C = Line(name='fine', measured='c', prepare=fine, **made)\n"
        "speed.LINES.clear()\n"
        "speed.LINES.update({n.lower(): f'broken_lines:{k}' for k, n in "
        "(('A', 'absent'), ('B', 'broken'), ('C', 'fine'))})\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTEST_PLUGINS", "broken_lines")
    monkeypatch.syspath_prepend(tmp_path)
    kept = dict(speed.LINES)
    try:
        __import__("broken_lines")
        out = ["--out", str(tmp_path / "out"), "--format", "md"]
        assert main(["speed", *out]) == 1
        shown = capsys.readouterr().out
        assert main(["speed", "--lines", "broken", *out]) == 1  # tells nothing of the run before
        alone = capsys.readouterr().out
    finally:
        speed.LINES.clear()
        speed.LINES.update(kept)
    assert "not run: no such peer" in shown and "failed: ZeroDivisionError" in shown
    assert "0.50 [0.50, 0.50]" in shown
    assert "failed: ZeroDivisionError" in alone and "0.50" not in alone


def test_a_profile_names_the_operations_of_every_side() -> None:
    """A product dominates one side and a sort the other; shares add up to the whole."""
    square, long = torch.ones(400, 400), torch.rand(200_000)
    sides = [
        Side("product", lambda: none(square @ square)),
        Side("sort", lambda: none(long.sort())),
    ]
    frame = profile_table(line(prepare=lambda where: sides), WHERE).frame
    first = frame.groupby("side", sort=False)["operation"].first()
    assert dict(first) == {"product": "aten::mm", "sort": "aten::sort"}
    shares = frame["share, %"].astype(float).groupby(frame["side"]).sum()
    assert all(abs(share - 100) < 1 for share in shares)
    assert set(frame.loc[frame["operation"] == "aten::mm", "calls"]) == {"1"}


def test_the_overhead_s_profile_tells_the_arena_s_parts(monkeypatch) -> None:
    """Of a smaller preset: every part took time, and together they are the whole."""
    monkeypatch.setattr(harness, "PRESET", "smoke")
    frame = profile_table(load("overhead"), WHERE).frame
    seconds = frame["seconds"].astype(float)
    assert (seconds > 0).all() and list(frame["part"][2:-1]) == list(harness.PARTS)
    assert seconds[1] == pytest.approx(seconds[2:].sum(), abs=0.05)


def test_a_clock_counts_what_is_called_once() -> None:
    clock = harness.Clock()

    def busy(seconds: float) -> None:
        end = time.process_time() + seconds
        while time.process_time() < end:
            pass

    inner = clock.watched("inner", busy)
    outer = clock.watched("outer", lambda: (busy(0.05), inner(0.1)))
    outer()
    assert clock.seconds["inner"] == pytest.approx(0.1, abs=0.02)
    assert clock.seconds["outer"] == pytest.approx(0.05, abs=0.02)


def none(_: object) -> None:
    """A side that gives no value of its own."""


def test_a_line_in_processes_of_its_own_has_no_profile(capsys) -> None:
    assert main(["speed", "--profile", "--lines", "jobs"]) == 4
    assert "processes of its own" in capsys.readouterr().err
    assert load("overhead").apart and not load("implicit-time").apart


def test_a_table_names_the_machine_and_the_code() -> None:
    told = {"line": "deq", "threads": 2, "torch": "2.13.0", "device": "cpu", "values": {}}
    run = {
        "benchmarks": [{"extra_info": told}],
        "machine_info": {"cpu": {"brand_raw": "Some CPU", "count": 4}},
        "commit_info": {"id": "0123456789", "dirty": True},
    }
    (note,) = machine_of(run)
    assert note == (
        "Some CPU, 4 cores; cpu, threads of a side: 2; torch 2.13.0; commit 0123456, changed"
    )
    assert machine_of({**run, "benchmarks": []}) == []


def test_a_line_that_was_raced_again_is_told_by_the_later_run() -> None:
    def run(when: str, commit: str, **lines: float) -> dict[str, object]:
        told = [
            {"line": name, "threads": 1, "device": "cpu", "values": {"a": [ours], "b": [1.0]}}
            for name, ours in lines.items()
        ]
        return {
            "datetime": when,
            "benchmarks": [{"extra_info": each} for each in told],
            "machine_info": {"cpu": {"brand_raw": "Some CPU", "count": 4}},
            "commit_info": {"id": commit, "dirty": False},
        }

    early, late = "2026-01-02T03:04:05", "2026-02-01T00:00:00"
    first = run(early, "aaaaaaaa", deq=1.5, **{"eqt-step": 3.0})
    table = told_by(run(late, "bbbbbbbb", deq=1.25), first)
    ratios = dict(zip(table.frame["line"], table.frame["ratio"], strict=True))
    assert ratios["deq"].startswith("1.25 ") and ratios["eqt-step"].startswith("3.00 ")
    assert [note.split(": ")[0] for note in table.notes[1:]] == ["eqt-step", "deq"]
    assert table.notes[1].endswith("aaaaaaa") and table.notes[2].endswith("bbbbbbb")


def test_a_line_that_did_not_run_says_why() -> None:
    table = speed_table({}, {"delta": "no such library"})
    assert "not run: no such library" in table.render("md")
