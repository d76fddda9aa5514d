"""Scoring: the budgets of one run, of a run each, and of passes that share nothing."""

import math

import pytest
import torch

from closedloop.bench.evaluate import Tally, evaluate, observe
from closedloop.bench.registry import Registry
from closedloop.methods.diffusion_masked import DiffusionMasked
from closedloop.methods.method import Method, Sizes, Step, build
from closedloop.methods.ttt_linear import TTTLinear
from closedloop.tasks import TASKS
from closedloop.tasks.parity import Parity

BUDGETS = [1, 3]


def model(method: type[Method]) -> Method:
    config = method.Config(width=8, depth=1, heads=2)
    return build(method, config, Sizes(2, 2, 10), 0).eval()


def tallied(scored: Method) -> dict[tuple, list[float]]:
    rows, tally = Parity().sample(20, 10, 0, "test"), Tally()
    evaluate(scored, Parity(), rows, ("test", 10), BUDGETS, 8, tally, lambda *_: None)
    return tally.sums


def counted(scored: Method) -> int:
    """How many batches of states the method's trunk has read out."""
    calls = []
    trunk = scored.trunk if isinstance(scored, TTTLinear) else scored.net.trunk
    trunk.norm.register_forward_hook(lambda *_: calls.append(1))
    tallied(scored)
    return len(calls)


def test_a_pass_for_each_budget_scores_as_a_whole_deliberation_does() -> None:
    by_passes = tallied(model(TTTLinear))
    whole = model(TTTLinear)
    whole.incremental = True  # type: ignore[misc]
    assert by_passes == tallied(whole)
    assert ("test", 10, 3, "all", 0, "energy") in by_passes


@pytest.mark.parametrize(
    ("method", "passes"), [(TTTLinear, 1 + len(BUDGETS)), (DiffusionMasked, 1 + 3)]
)
def test_scoring_costs_the_wanted_budgets_and_no_more(method, passes) -> None:
    """Three batches: K = 0 and a pass a budget, or 1 + 3 calls of two runs of unmasking."""
    assert counted(model(method)) == 3 * passes


def test_flips_count_from_zero_iterations_on_every_way() -> None:
    for method in (TTTLinear, DiffusionMasked):
        scored = model(method)
        rows = Parity().sample(20, 10, 0, "test")
        sums = tallied(scored)
        with torch.no_grad():
            first = scored.answer(rows.inputs.long(), 0).logits.argmax(-1) == rows.targets
            last = scored.answer(rows.inputs.long(), 3).logits.argmax(-1) == rows.targets
        gained = sums["test", 10, 3, "all", 0, "gained"][1]
        lost = sums["test", 10, 3, "all", 0, "lost"][1]
        assert gained - lost == int(last.sum()) - int(first.sum())


@pytest.mark.parametrize("name", TASKS)
def test_an_answer_that_is_not_finite_is_wrong_in_every_metric(name: str) -> None:
    task = Registry().task(name)()
    batch = task.sample(16, task.lengths[0], 0, "test").to("cpu")
    logits = torch.full((*batch.inputs.shape, task.classes), math.nan)
    step = Step(logits, torch.zeros(batch.inputs.shape))
    first, used = torch.zeros_like(batch.inputs), torch.zeros(batch.inputs.shape)
    seen = observe(step, batch, task, first, used)
    own = {"token", "sequence", "prefix", *task.checks(batch, first)}
    assert all(float(seen[metric][1].sum()) == 0 for metric in own)
