"""One trial, from its plan to its record; whatever goes wrong on the way is a record too."""

from __future__ import annotations

import hashlib
import time
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from safetensors.torch import save

from ..methods.method import Method, Sizes, build
from ..tasks.task import Batch, Task
from . import costs
from .environment import environment
from .errors import one_line
from .evaluate import Tally, evaluate, seen_in_training
from .registry import Registry
from .seeds import FROZEN, data_seed, initial_seed, noise_seed
from .store import Store, write_whole
from .train import Diverged, Trainer, Watch, weights_of
from .trial import DIVERGED, OK, UNSUPPORTED, Record, Trial

BEAT_SECONDS = 1.0


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


class Unsupported(Exception):
    """The method says that it cannot do this task."""


class Timeout(Exception):
    """The trial's wall limit is over."""


class Pulse:
    """Turns steps into heartbeats, and the wall limit into an exception."""

    def __init__(
        self, timeout: float | None, tell: Callable[[dict[str, Any]], None] | None
    ) -> None:
        self.started = self.told = time.monotonic()
        self.timeout, self.tell = timeout, tell
        self.phase, self.since, self.first = "", self.started, 0

    def __call__(self, phase: str, step: int, steps: int, loss: float) -> None:
        """Note a step.

        Raises:
            Timeout: the wall limit is over.
        """
        now = time.monotonic()
        if self.timeout is not None and now - self.started > self.timeout:
            raise Timeout(f"stopped after {self.timeout:g} s in {phase}, step {step} of {steps}")
        if phase != self.phase:
            self.phase, self.since, self.first = phase, now, step
        if self.tell is None or now - self.told < BEAT_SECONDS:
            return
        self.told = now
        rate = (step - self.first) / (now - self.since) if now > self.since else 0.0
        left = (steps - step) / rate if rate else None
        self.tell(
            {
                "phase": phase,
                "step": step,
                "steps": steps,
                "loss": None if loss != loss else loss,
                "rate": rate,
                "left": left,
            }
        )


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
    """Build, train, evaluate, count."""
    started, device = time.monotonic(), torch.device(settings.device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    task, method = registry.task(trial.task)(**trial.task_options), registry.method(trial.method)
    require_supported(task, method, trial)
    config = method.Config(**trial.method_options)
    sizes = Sizes(task.vocab, task.classes, max(trial.test_lengths))
    model = build(method, config, sizes, initial_seed(trial)).to(device)
    seed, rows = data_seed(trial), trial.train["rows"]
    train = task.sample(rows, trial.length, seed, "train")
    validation = task.sample(trial.train["validation_rows"], trial.length, FROZEN, "validation")
    trainer = Trainer(model, train, validation, trial.train, seed, noise_seed(trial))
    store = Store(settings.results)
    state = trainer.run(watch, store.checkpoint(trial.id), settings.checkpoint_seconds)
    body = save(weights_of(model))
    if settings.keep_weights:
        write_whole(store.weights(trial.id), lambda file: file.write(body))
    begun, tally = time.monotonic(), Tally()
    tests = {n: task.sample(trial.evaluate["rows"], n, FROZEN, "test") for n in trial.test_lengths}
    data = {str(n): score(model, task, tests[n], train, trial, tally, watch) for n in tests}
    budgets = [0] if model.iterates == "nothing" else trial.evaluate["iterations"]
    ended = time.monotonic()
    return Record(
        trial=trial,
        status=OK,
        metrics=tally.rows(),
        curves={**state.curves},
        costs={
            **counted(model, train, tests[trial.length], budgets, trainer.steps, trial, device),
            "best_step": state.best_step,
            "train_seconds": state.seconds,
            "evaluate_seconds": ended - begun,
            "wall_seconds": time.monotonic() - started,
            "peak_bytes": costs.peak_bytes(device),
        },
        data=data,
        weights=hashlib.sha256(body).hexdigest(),
        environment=where(trial, settings, registry),
    )


def require_supported(task: Task, method: type[Method], trial: Trial) -> None:
    """A causal method cannot answer a task whose answers need the future."""
    if method.causal and not task.causal:
        raise Unsupported(f"{trial.row} is causal and {trial.task} is not")


def score(
    model: Method,
    task: Task,
    test: Batch,
    train: Batch,
    trial: Trial,
    tally: Tally,
    watch: Watch,
) -> dict[str, Any]:
    """Score one test set; returns its SHA-256 and the share of its rows seen in training."""
    length = test.inputs.shape[1]
    strata = dict(test.strata)
    overlap = 0.0
    if length == trial.length:
        strata["seen"] = seen_in_training(test.inputs, train.inputs)
        overlap = strata["seen"].float().mean().item()
    rows = Batch(test.inputs, test.targets, test.mask, strata)
    budgets, size = trial.evaluate["iterations"], trial.evaluate["batch"]
    evaluate(model, task, rows, ("test", length), budgets, size, tally, watch)
    return {"sha256": batch_hash(test), "overlap": overlap, "rows": len(test)}


def batch_hash(batch: Batch) -> str:
    """SHA-256 of inputs, targets and mask, as int64 and bytes, row by row."""
    digest = hashlib.sha256()
    for tensor in (batch.inputs.long(), batch.targets.long(), batch.mask):
        digest.update(tensor.contiguous().cpu().numpy().tobytes())
    return digest.hexdigest()


def counted(
    model: Method,
    train: Batch,
    test: Batch,
    budgets: Sequence[int],
    steps: int,
    trial: Trial,
    device: torch.device,
) -> Mapping[str, Any]:
    """Parameters, FLOPs and seconds; a step's FLOPs are the mean over the training's schedules."""
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "steps": steps,
        "train_flops": costs.training_flops(model, train) * trial.train["batch"] * steps,
        "answer_flops_per_token": costs.answering_flops(model, test, budgets),
        "answer_seconds_per_token": costs.answering_seconds(model, test, budgets, device),
    }
