"""What the arena adds to the loops that it runs, and what a second core brings.

Both run whole presets in child processes, as a user would; a round takes minutes.
"""

from __future__ import annotations

import contextlib
import functools
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from ...methods.method import Method, Progress, build
from ...tasks.task import Batch
from .. import costs, run
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
BESIDE = "closedloop.bench.speed.beside"


def session(where: Where, preset: str, *words: str) -> float:
    """Seconds of `pytest bench/ --preset …` into a folder that is thrown away.

    Raises:
        Misuse: it failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pytest", str(BENCH), "--preset", preset]
        command += ["--results", folder, "--device", str(where.device), "-q", *words]
        command += ["--threads", str(where.threads), "-p", "no:cacheprovider"]
        started = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True)
        seconds = time.perf_counter() - started
    if done.returncode:
        raise Misuse(f"pytest on preset {preset} failed: {done.stdout.strip()[-300:]}")
    return seconds


class Overhead:
    """Sessions in which every trial's bare loops run just before it (bench/speed/beside.py).

    A machine that slows down for minutes slows both. `session`: what gives a session's seconds.
    """

    def __init__(self, where: Where, run: Callable[..., float] = session) -> None:
        self.where, self.run = where, run
        self.left: dict[str, list[float]] = {"arena": [], "bare": []}

    def take(self, side: str) -> float:
        """A side's seconds in the next session that this side has not seen."""
        if not self.left[side]:
            arena, bare = self.measure()
            self.left["arena"].append(arena)
            self.left["bare"].append(bare)
        return self.left[side].pop(0)

    def measure(self) -> tuple[float, float]:
        """Seconds of a session without those of the bare loops in it, and these."""
        with tempfile.TemporaryDirectory() as folder:
            told = Path(folder) / "bare.json"
            words = ["--executor", "inline", "-p", BESIDE, "--bare-seconds", str(told)]
            whole = self.run(self.where, PRESET, *words)
            bare = sum(json.loads(told.read_text()).values())
        return whole - bare, bare


def overhead_sides(where: Where) -> Sequence[Side]:
    """The preset as pytest runs it in its own process; and the bare loops of its trials."""
    both = Overhead(where)
    return [
        Side(f"pytest, {PRESET}", lambda: both.take("arena")),
        Side("bare loops", lambda: both.take("bare")),
    ]


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


CUT = ("train.rows=640", "train.epochs=1")
"""Ten updates a trial: what is spent beside the loops does not grow with them."""
PARTS = {
    "training, validation": (run, "trained"),
    "evaluation": (run, "evaluate"),
    "courses, probe, training rows": (run, "looked_into"),
    "FLOPs of updates": (costs, "training_flops"),
    "FLOPs of answers": (costs, "answering_flops"),
    "seconds of answers": (costs, "answering_seconds"),
}
"""What a trial's time is told by: functions of the arena, a name each."""


def spent(where: Where) -> list[dict[str, str]]:
    """CPU seconds of the preset's trials, one seed, cut short: bare, and by the arena in parts.

    What a part calls of another part counts as the other's.
    """
    registry = Registry()
    trials = plan(Request(preset=PRESET, seeds=1, settings=CUT), registry)
    torch.set_num_threads(where.threads)
    clock = Clock()
    with contextlib.ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        for name, (module, function) in PARTS.items():
            timed = clock.watched(name, getattr(module, function))
            stack.enter_context(patch.object(module, function, timed))
        settings = run.Settings(results=folder, device=str(where.device), threads=where.threads)
        bare, arena = clock.watched("bare", bare_trial), clock.watched("rest", run.run_trial)
        for trial in trials:
            bare(trial, registry, where)
            arena(trial, registry, settings)
    loops = clock.seconds.pop("bare")
    lines = [("bare loops", "all", loops), ("arena", "all", sum(clock.seconds.values()))]
    lines += [("arena", name, clock.seconds[name]) for name in (*PARTS, "rest")]
    return [
        {
            "side": side,
            "part": part,
            "seconds": f"{seconds:.2f}",
            "of the bare loops, %": f"{100 * seconds / loops:.1f}",
        }
        for side, part, seconds in lines
    ]


class Clock:
    """CPU seconds by name, of functions without those of others that they call."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.inner = [0.0]

    def watched(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its time noted."""

        @functools.wraps(function)
        def timed(*given: Any, **named: Any) -> Any:
            self.inner.append(0.0)
            started = time.process_time()
            try:
                return function(*given, **named)
            finally:
                took = time.process_time() - started
                self.seconds[name] += took - self.inner.pop()
                self.inner[-1] += took

        return timed


OVERHEAD = Line(
    name="overhead",
    measured="pytest with start and tables, trials in turn, against their bare loops",
    sizes=f"preset {PRESET}; each trial's bare loops run just before it",
    bound=1.05,
    prepare=overhead_sides,
    apart=True,
    inside=spent,
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
    measured="throughput of two jobs on two cores against one, starts and tables included",
    sizes=f"preset {JOBS_PRESET}, four seeds, four epochs",
    bound=1.7,
    prepare=jobs_sides,
    apart=True,
    at_least=True,
    inverse=True,
    rounds=3,
    warm=0,
)
