"""What a plan would cost, before any of it is run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pandas as pd
import torch

from ..methods.method import Progress, build
from ..tasks.task import Batch
from .arena import Arena
from .costs import training_flops
from .data import form_of
from .errors import one_line
from .run import sizes_of
from .tables import Table, engineering
from .trial import Trial

PROBE_ROWS = 32


def estimate_table(arena: Arena, trials: Sequence[Trial]) -> Table:
    """The trials by task, method and length: how many, how many are done, FLOPs and seconds.

    One step on a few rows is counted and timed for every group; the seconds are that step's, scaled
    to the batch, on this machine's device: an upper bound for wide batches.
    """
    groups: dict[tuple[str, str, int], list[Trial]] = {}
    for trial in trials:
        groups.setdefault((trial.question, trial.row, trial.length), []).append(trial)
    rows, total = [], 0.0
    for (task, method, length), members in sorted(groups.items()):
        done = sum(arena.store.path(trial.id).is_file() for trial in members)
        flops, seconds = probe(arena, members[0])
        left = len(members) - done
        total += left * (seconds or 0.0)
        rows.append(
            [
                f"{task}-{method}-L{length}",
                len(members),
                done,
                engineering(flops * len(members)) if flops else "?",
                f"{seconds:.0f}" if seconds else "?",
            ]
        )
    columns = ["trials", "planned", "done", "training FLOPs", "s each"]
    jobs = arena.settings.jobs
    note = (
        f"{len(trials)} trials; about {total / jobs / 60:.1f} minutes of training left with "
        f"{jobs} job(s) on {arena.settings.device}, evaluation not included"
    )
    return Table(
        "plan", f"Plan, preset {trials[0].preset}", pd.DataFrame(rows, columns=columns), (note,)
    )


def probe(arena: Arena, trial: Trial) -> tuple[float | None, float | None]:
    """Training FLOPs and seconds of a trial, from one step; None where it cannot run."""
    try:
        return measure(arena, trial)
    except Exception as error:  # a plan is printed whatever a method does
        print(f"{trial.name}: no estimate: {one_line(error)}")
        return None, None


def measure(arena: Arena, trial: Trial) -> tuple[float, float]:
    """Count and time a step on PROBE_ROWS rows."""
    task = arena.registry.task(trial.task)(**trial.task_options)
    method = arena.registry.method(trial.method)
    task = form_of(task, method, trial)
    config = method.Config(**trial.method_options)
    model: Any = build(method, config, sizes_of(task, trial), 0).to(arena.settings.device)
    middle = trial.trained_on[len(trial.trained_on) // 2]
    batch: Batch = task.sample(min(PROBE_ROWS, trial.train["batch"]), middle, 0, "train")
    flops = training_flops(model, [batch])
    rows = trial.train["rows"] // trial.train["batch"] * trial.train["batch"]
    rows *= trial.train["epochs"]
    threads = torch.get_num_threads()
    torch.set_num_threads(arena.settings.threads)
    moved = batch.to(arena.settings.device)
    for _ in range(2):  # the first call warms up
        start = time.perf_counter()
        model.loss(moved, Progress(0, 1, 0)).total.backward()
        seconds = time.perf_counter() - start
    torch.set_num_threads(threads)
    return flops * rows, seconds / len(batch) * rows
