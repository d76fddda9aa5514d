"""One trial, from its plan to its record; whatever goes wrong on the way is a record too."""

from __future__ import annotations

import hashlib
import time
import traceback
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from safetensors.torch import save

from ..methods.method import Method, Sizes, build
from ..tasks.task import Task
from . import costs
from .courses import compare_courses
from .data import Data, Unsupported, make_data, marked
from .environment import environment
from .errors import one_line
from .evaluate import Tally, evaluate
from .outcomes import PROBED, Witness
from .pulse import Pulse, Timeout
from .registry import Registry
from .seeds import data_seed, initial_seed, noise_seed
from .store import Store, write_whole
from .train import Diverged, State, Trainer, Watch, weights_of
from .trial import DIVERGED, OK, UNSUPPORTED, Record, Trial


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How trials run; nothing here may change a result. timeout is in seconds, per trial."""

    results: str
    device: str = "cpu"
    threads: int = 1
    jobs: int = 1
    timeout: float | None = None
    plugins: tuple[str, ...] = ()
    keep_weights: bool = False
    checkpoint_seconds: float = 30.0


def run_trial(
    trial: Trial,
    registry: Registry,
    settings: Settings,
    tell: Callable[[dict[str, Any]], None] | None = None,
) -> Record:
    """Run a trial and save its record; `tell` hears every heartbeat, about one a second.

    Raises:
        OSError: the record cannot be written.
    """
    store = Store(settings.results)

    def beat(values: dict[str, Any]) -> None:
        store.beat(trial, values)
        if tell is not None:
            tell({"name": trial.name, **values})

    pulse = Pulse(settings.timeout, beat)
    threads = torch.get_num_threads()
    torch.set_num_threads(settings.threads)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            record = attempt(trial, registry, settings, pulse)
    finally:
        torch.set_num_threads(threads)
    store.save(record)
    if not record.failed:
        store.checkpoint(trial.id).unlink(missing_ok=True)
    return record


def attempt(trial: Trial, registry: Registry, settings: Settings, watch: Watch) -> Record:
    """The record of a run, its failure included."""
    try:
        return perform(trial, registry, settings, watch)
    except Diverged as error:
        return incomplete(trial, settings, registry, DIVERGED, str(error))
    except Unsupported as error:
        return incomplete(trial, settings, registry, UNSUPPORTED, str(error))
    except Timeout as error:
        return incomplete(trial, settings, registry, "timeout", str(error))
    except (torch.OutOfMemoryError, MemoryError) as error:
        return incomplete(trial, settings, registry, "oom", one_line(error))
    except Exception as error:  # a method may fail in any way: that is recorded, not lost
        status = "oom" if "can't allocate memory" in str(error) else "error"
        return incomplete(trial, settings, registry, status, failure_text(error))


def failure_text(error: Exception) -> str:
    """The error on one line, then the tail of its traceback."""
    tail = "".join(traceback.format_exception(error)[-6:])
    return f"{one_line(error)}\n{tail[-2000:]}"


def incomplete(
    trial: Trial, settings: Settings, registry: Registry, status: str, reason: str
) -> Record:
    """The record of a trial that gave no scores."""
    place = where(trial, settings, registry)
    return Record(trial=trial, status=status, reason=reason, environment=place)


def where(trial: Trial, settings: Settings, registry: Registry) -> dict[str, Any]:
    """The environment, with the plug-ins behind the trial's task and method."""
    place = environment(settings.device, settings.threads, settings.jobs)
    names = (trial.task, trial.method)
    place["plugins"] = {n: registry.origins[n] for n in names if n in registry.origins}
    return place


def perform(trial: Trial, registry: Registry, settings: Settings, watch: Watch) -> Record:
    """Draw the rows, build, train, evaluate, count."""
    started, device = time.monotonic(), torch.device(settings.device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    task, method = registry.task(trial.task)(**trial.task_options), registry.method(trial.method)
    data = make_data(task, method, trial, watch)
    config, sizes = method.Config(**trial.method_options), sizes_of(data.task, trial)
    model = build(method, config, sizes, initial_seed(trial)).to(device)
    state, trainer = trained(model, data, trial, settings, watch)
    body = save(weights_of(model))
    if settings.keep_weights:
        write_whole(Store(settings.results).weights(trial.id), lambda file: file.write(body))
    begun, tally, told = time.monotonic(), Tally(), {}
    outcomes: dict[str, np.ndarray] = {}
    traces: dict[str, Any] = {}
    for length in trial.test_lengths:
        rows, told[str(length)] = marked(data, length)
        budgets, size = trial.evaluate["iterations"], trial.evaluate["batch"]
        witness = Witness()
        evaluate(model, data.task, rows, ("test", length), budgets, size, tally, watch, witness)
        if length == trial.length:
            looked_into(model, data, trial, tally, watch, witness)
            outcomes |= witness.singles(length)
        outcomes |= witness.rows(length)
        traces[str(length)] = witness.traces()
    ended = time.monotonic()
    return Record(
        trial=trial,
        status=OK,
        metrics=tally.rows(),
        curves={**state.curves},
        costs={
            **counted(model, data, trial, trainer.steps, device),
            "best_step": state.best_step,
            "data_seconds": data.seconds,
            "train_seconds": state.seconds,
            "evaluate_seconds": ended - begun,
            "wall_seconds": time.monotonic() - started,
            "peak_bytes": costs.peak_bytes(device),
        },
        data=told,
        weights=hashlib.sha256(body).hexdigest(),
        traces={length: found for length, found in traces.items() if found},
        rows=Store(settings.results).save_rows(trial.id, outcomes),
        environment=where(trial, settings, registry),
    )


def looked_into(
    model: Method, data: Data, trial: Trial, tally: Tally, watch: Watch, witness: Witness
) -> None:
    """What is asked at the trained length alone: training rows, other courses, the probe."""
    rows, length, size = data.tests[trial.length], trial.length, trial.evaluate["batch"]
    budgets = [0] if model.iterates == "nothing" else trial.evaluate["iterations"]
    known = data.trained(rows)
    if known is not None:
        some = replace(known, strata={}).rows(slice(trial.evaluate["rows"]))
        near = max((k for k in budgets if k <= model.trained_iterations), default=min(budgets))
        asked, place = sorted({0, near}), ("train", length)
        evaluate(model, data.task, some, place, asked, size, tally, watch)
    if model.iterates != "nothing":
        place = ("test", length)
        compare_courses(model, data.task, rows, place, budgets, size, tally, watch)
        some = rows.rows(slice(PROBED)).to(next(model.parameters()).device)
        with torch.no_grad():
            witness.probe(model.probe(some.inputs, max(budgets)))


def sizes_of(task: Task, trial: Trial) -> Sizes:
    """Ids, and the positions of the longest row that the trial trains or tests on."""
    longest = max(*map(task.positions, (*trial.test_lengths, trial.length)))
    return Sizes(task.vocab, task.classes, longest)


def trained(
    model: Method, data: Data, trial: Trial, settings: Settings, watch: Watch
) -> tuple[State, Trainer]:
    """Train the model on the trial's rows, from its checkpoint if there is one."""
    seeds = data_seed(trial), noise_seed(trial)
    trainer = Trainer(model, data.train, data.validation, trial.train, *seeds)
    checkpoint = Store(settings.results).checkpoint(trial.id)
    return trainer.run(watch, checkpoint, settings.checkpoint_seconds), trainer


def counted(
    model: Method, data: Data, trial: Trial, steps: int, device: torch.device
) -> Mapping[str, Any]:
    """Parameters, FLOPs and seconds; a step's FLOPs are the mean over the training's schedules."""
    test = data.tests[trial.length]
    budgets = [0] if model.iterates == "nothing" else trial.evaluate["iterations"]
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "steps": steps,
        "trained_iterations": model.trained_iterations,
        "train_flops": costs.training_flops(model, data.train) * trial.train["batch"] * steps,
        "answer_flops_per_token": costs.answering_flops(model, test, budgets),
        "answer_seconds_per_token": costs.answering_seconds(model, test, budgets, device),
    }
