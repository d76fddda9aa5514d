"""What the arena adds to the loops that it runs, and what a second core brings.

Both run whole presets in child processes, as a user would. One round each unless asked for more:
a round takes minutes.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from ...methods.method import Method, Progress, build
from ...tasks.task import Batch
from ..data import make_data, marked
from ..errors import Misuse
from ..plan import Request, plan
from ..registry import Registry
from ..run import sizes_of
from ..seeds import initial_seed, noise_seed
from ..trial import Trial
from .line import Line, Side, Where

PRESET, JOBS_PRESET = "quick", "smoke"
BENCH = Path(__file__).parents[1] / "test_arena.py"


def session(where: Where, preset: str, *words: str) -> None:
    """`pytest bench/ --preset …` into a folder that is thrown away.

    Raises:
        Misuse: it failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pytest", str(BENCH), "--preset", preset]
        command += ["--results", folder, "--device", str(where.device), "-q", *words]
        command += ["--threads", str(where.threads), "-p", "no:cacheprovider"]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Misuse(f"pytest on preset {preset} failed: {done.stdout.strip()[-300:]}")


def overhead_sides(where: Where) -> Sequence[Side]:
    """The preset as pytest runs it, one job; and its bare loops in a child of their own."""
    words = [sys.executable, "-m", __name__, str(where.device), str(where.threads)]

    def loops() -> None:
        subprocess.run(words, check=True)

    return [
        Side(f"pytest, {PRESET}", lambda: session(where, PRESET, "--jobs", "1")),
        Side("bare loops", loops),
    ]


def bare(where: Where) -> None:
    """Train, validate and score every trial of the preset: no record, no strata, nothing around."""
    torch.set_num_threads(where.threads)
    registry = Registry()
    for trial in plan(Request(preset=PRESET), registry):
        bare_trial(trial, registry, where)


def bare_trial(trial: Trial, registry: Registry, where: Where) -> None:
    """The loops that any user would write for a trial."""
    task, method = registry.task(trial.task)(**trial.task_options), registry.method(trial.method)
    data = make_data(task, method, trial, lambda *_: None)
    config, protocol = method.Config(**trial.method_options), trial.train
    model = build(method, config, sizes_of(data.task, trial), initial_seed(trial)).to(where.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=protocol["learning_rate"])
    size, step, seed = protocol["batch"], 0, noise_seed(trial)
    steps = protocol["epochs"] * sum(len(part) // size for part in data.train)
    model.train()
    for _ in range(protocol["epochs"]):
        for part in data.train:
            for index in torch.randperm(len(part))[: len(part) // size * size].split(size):
                batch = part.rows(index).to(str(where.device))
                optimizer.zero_grad(set_to_none=True)
                model.loss(batch, Progress(step, steps, seed)).total.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), protocol["clip"])
                optimizer.step()
                step += 1
        answers(model, data.validation, size, [model.trained_iterations], where)
    budgets = [0] if method.iterates == "nothing" else trial.evaluate["iterations"]
    for length in trial.test_lengths:
        answers(model, marked(data, length)[0], trial.evaluate["batch"], budgets, where)


def answers(model: Method, rows: Batch, size: int, budgets: Sequence[int], where: Where) -> None:
    """The answers at these budgets: of one run where the method can, else of a run for each."""
    model.eval()
    with torch.no_grad():
        for start in range(0, len(rows), size):
            inputs = rows.rows(slice(start, start + size)).to(str(where.device)).inputs
            if len(budgets) > 1 and model.incremental and model.anytime:
                for step in model.deliberate(inputs, max(budgets)):
                    step.logits.argmax(-1)
            else:
                for budget in budgets:
                    model.answer(inputs, budget).logits.argmax(-1)
    model.train()


OVERHEAD = Line(
    name="overhead",
    measured=f"preset {PRESET} by pytest with one job, against its bare loops of training, "
    "validation and evaluation in one process",
    bound=1.05,
    prepare=overhead_sides,
    apart=True,
    rounds=1,
    warm=0,
)


def jobs_sides(where: Where) -> Sequence[Side]:
    """The same trials, two at a time and one at a time."""
    words = ("--seeds", "4", "--set", "train.epochs=4")

    def run(jobs: int) -> None:
        session(where, JOBS_PRESET, "--jobs", str(jobs), *words)

    return [Side("2 jobs", lambda: run(2)), Side("1 job", lambda: run(1))]


JOBS = Line(
    name="jobs",
    measured=f"throughput of preset {JOBS_PRESET}, four seeds, four epochs: two jobs on two cores "
    "against one, starts and tables included",
    bound=1.7,
    prepare=jobs_sides,
    apart=True,
    at_least=True,
    inverse=True,
    rounds=3,
    warm=0,
)


if __name__ == "__main__":
    bare(Where(torch.device(sys.argv[1]), int(sys.argv[2])))
