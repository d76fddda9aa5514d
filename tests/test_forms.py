"""Who is asked a task in which form, from the plan to the table."""

from dataclasses import dataclass

import pytest
import torch

from closedloop.bench.arena import open_arena
from closedloop.bench.data import make_data
from closedloop.bench.plan import Request, plan
from closedloop.bench.registry import Registry
from closedloop.bench.run import Settings, run_trial
from closedloop.tasks.layouts import copied, first, second
from closedloop.tasks.task import Batch, Task, require_sizes

SETTINGS = ["train.rows=64", "train.epochs=1", "evaluate.rows=32", "evaluate.iterations=[0]"]
SETTINGS += ["train.validation_rows=16", "train.batch=32"]


def silent(phase: str, step: int, steps: int, loss: float) -> None:
    """A watch that lets all pass."""


def data_of(method: str, task: str, length: int):
    registry = Registry()
    request = Request(
        preset="smoke", methods=[method], tasks=[task], lengths=[length], settings=SETTINGS
    )
    (trial,) = plan(request, registry)
    made = registry.task(trial.task)(**trial.task_options)
    return make_data(made, registry.method(method), trial, silent)


def test_a_causal_method_sees_the_board_first_and_the_same_boards() -> None:
    ahead, causal = (data_of(m, "sudoku", 16) for m in ("diffusion-masked", "gru"))
    assert ahead.form == {} and causal.form == {"layout": "copy"}
    for one, other in zip(ahead.train, causal.train, strict=True):
        assert torch.equal(one.inputs, first(other.inputs))
        assert torch.equal(one.inputs, second(other.inputs))
        assert torch.equal(one.targets[one.mask], second(other.targets)[second(other.mask)])
        assert not other.mask[:, : other.inputs.shape[1] // 2 + 1].any()


def test_a_method_that_reads_ahead_is_asked_where_nothing_shows_the_answer() -> None:
    ahead, causal = (data_of(m, "dyck", 12) for m in ("diffusion-masked", "gru"))
    assert ahead.form == {"supervision": "final"} and causal.form == {}
    assert bool(ahead.tests[12].mask[:, -1].all()) and int(ahead.tests[12].mask.sum()) == 32


def test_a_copied_row_is_the_row_a_separator_and_the_row_again() -> None:
    ids, mask = torch.tensor([[1, 2, 3]]), torch.tensor([[False, True, True]])
    batch = copied(Batch(ids, ids * 2, mask, {"row": ids[:, 0], "cell": ids}), 9)
    assert batch.inputs.tolist() == [[1, 2, 3, 9, 1, 2, 3]]
    assert batch.targets.tolist() == [[0, 0, 0, 0, 2, 4, 6]]
    assert batch.mask.tolist() == [[False] * 4 + [False, True, True]]
    assert batch.strata["cell"].tolist() == [[0, 0, 0, 0, 1, 2, 3]]
    assert batch.strata["row"].tolist() == [1]


@dataclass(frozen=True, kw_only=True)
class Ahead(Task):
    """y_t = x_{t+1}, of the last position x_1: needs the future, and has no other form."""

    shows: bool = False

    name = "ahead"
    version = 1
    vocab = classes = 3

    @property
    def causal(self) -> bool:  # type: ignore[override]
        return self.shows

    @property
    def reveals(self) -> bool:  # type: ignore[override]
        return self.shows

    def sample(self, n, length, seed, split) -> Batch:
        require_sizes(self, n, length, split)
        generator = torch.Generator().manual_seed(seed % 1000 + 1000 * length + len(split))
        inputs = torch.randint(3, (n, length), generator=generator)
        return Batch(inputs, self.label(inputs), torch.ones_like(inputs, dtype=torch.bool), {})

    def label(self, inputs) -> torch.Tensor:
        return inputs.roll(-1, 1)

    def chance(self, length) -> float:
        return 1 / 3


@pytest.mark.parametrize(
    "method, shows, reason",
    [
        ("gru", "false", "gru is causal, and ahead needs inputs to come"),
        ("diffusion-masked", "true", "diffusion-masked reads ahead, and ahead shows its answers"),
        ("gru", "true", ""),
        ("diffusion-masked", "false", ""),
    ],
)
def test_a_task_without_a_form_is_unsupported_with_the_reason(tmp_path, method, shows, reason):
    registry = Registry(tasks={"ahead": Ahead})
    request = Request(
        preset="smoke",
        methods=[method],
        tasks=["ahead"],
        lengths=[8],
        settings=[*SETTINGS, f"ahead.shows={shows}"],
    )
    (trial,) = plan(request, registry)
    record = run_trial(trial, registry, Settings(results=str(tmp_path)))
    assert record.status == ("unsupported" if reason else "ok"), record.reason
    assert record.reason.startswith(reason)


def test_the_tables_say_who_was_asked_what(tmp_path) -> None:
    request = Request(
        preset="smoke",
        methods=["gru", "diffusion-masked"],
        tasks=["parity", "dyck"],
        lengths=[8],
        settings=SETTINGS,
    )
    found = open_arena(request, results=str(tmp_path), device="cpu", executor="inline")
    found.store.require_writable()
    list(found.run(found.trials, print))
    tables = {table.name: table for table in found.tables()}
    closer = tables["leaderboard-dyck-closer"]
    assert "Asked in another form: supervision=final (diffusion-masked)" in closer.notes
    rules = [name for name in closer.frame["method"] if name.startswith("(rule")]
    assert "(rule: majority)" in rules and "(rule: majority; supervision=final)" in rules
    named = set(closer.frame["method"])
    assert {"(chance)", "(chance; supervision=final)"} <= named
    record = next(r for r in found.records() if r.trial.task == "dyck" and r.data["8"]["form"])
    assert record.data["8"]["levels"] == {"chance": 0.5}
    overview = tables["leaderboard-overview"]
    assert list(overview.frame["task"]) == ["dyck", "parity"]
    assert list(overview.frame["metric"]) == ["closer", "token"]
    assert list(overview.frame.columns[-2:]) == ["diffusion-masked", "gru"]
    assert "dyck: supervision=final (diffusion-masked)" in " ".join(overview.notes)
    assert "final" not in overview.frame["rule"][0]
    assert overview.frame["diffusion-masked"][0].endswith("*")
    assert not overview.frame["gru"][0].endswith("*")
