"""One session of the arena: what was asked, what is done, what is left. pytest and the command
line both speak to this."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from .environment import resolve_device
from .errors import Misuse, unknown
from .executors.executor import Executor, Say, default_jobs
from .executors.inline import Inline
from .executors.local import Local
from .leaderboard import leaderboard
from .plan import Request, plan
from .registry import Registry, load_registry
from .run import Settings
from .store import Store
from .tables import Table, write_tables
from .trial import Record, Trial

EXECUTORS = ("inline", "local")
RERUNS = ("none", "failed", "all")
DEFAULT_RESULTS = "results/local"


@dataclass
class Arena:
    """A plan, a store and the settings between them."""

    registry: Registry
    trials: list[Trial]
    store: Store
    settings: Settings
    executor: str = "local"
    rerun: str = "none"

    def __post_init__(self) -> None:
        self.cached: set[str] = set()
        self.by_name = {trial.name: trial for trial in self.trials}

    def pending(self, trials: Sequence[Trial]) -> list[Trial]:
        """The trials to be run; notes which of the others are cached.

        Raises:
            Misuse: a record's schema is newer than this version reads.
        """
        left = []
        for trial in trials:
            record = self.store.load(trial.id)
            again = record is not None and (
                self.rerun == "all" or (self.rerun == "failed" and record.failed)
            )
            if again:
                self.store.retire(trial.id)
            if record is None or again:
                left.append(trial)
            else:
                self.cached.add(trial.id)
        return left

    def run(self, trials: Sequence[Trial], say: Say) -> Iterator[Trial]:
        """Run what is pending, yielding every trial as it is done, cached ones first."""
        left = self.pending(trials)
        pending = {trial.id for trial in left}
        yield from (trial for trial in trials if trial.id not in pending)
        yield from self.make_executor().run(left, self.settings, say)

    def make_executor(self) -> Executor:
        """The executor that was asked for."""
        return Inline(self.registry) if self.executor == "inline" else Local()

    def records(self) -> list[Record]:
        """The records of the plan that are in."""
        return list(self.store.records(trial.id for trial in self.trials))

    def tables(self) -> list[Table]:
        """The leaderboard as it stands."""
        return leaderboard(self.trials, self.records(), self.registry)

    def write(self, tables: Sequence[Table]) -> Path:
        """Write the tables into the results folder; returns the Markdown file."""
        stem = f"leaderboard-{self.trials[0].preset}"
        return write_tables(tables, self.store.folder / "tables", stem)[0]


def open_arena(
    request: Request,
    *,
    results: str,
    plugins: Sequence[str] = (),
    device: str = "auto",
    executor: str = "local",
    jobs: int | None = None,
    threads: int = 1,
    timeout: float | None = None,
    rerun: str = "none",
    keep_weights: bool = False,
) -> Arena:
    """Check everything that can be checked before a trial runs; nothing is written.

    Raises:
        Misuse: an unknown name, or a value that makes no sense.
    """
    if executor not in EXECUTORS:
        raise unknown("executor", executor, EXECUTORS)
    if rerun not in RERUNS:
        raise unknown("--rerun choice", rerun, RERUNS)
    for name, value in (("--jobs", jobs), ("--threads", threads), ("--trial-timeout", timeout)):
        if value is not None and value <= 0:
            raise Misuse(f"expected {name} > 0, got {value}")
    device = resolve_device(device)
    if device not in ("cpu", "cuda"):
        raise unknown("device", device, ("auto", "cpu", "cuda"))
    if device == "cuda" and not torch.cuda.is_available():
        raise Misuse("no CUDA device found: expected one for --device cuda, or take --device cpu")
    plugins = tuple(str(Path(p).resolve()) if p.endswith(".py") else p for p in plugins)
    registry = load_registry(plugins)
    settings = Settings(
        results=str(Path(results).resolve()),
        device=device,
        threads=threads,
        jobs=1 if executor == "inline" else jobs or default_jobs(device),
        timeout=timeout,
        plugins=plugins,
        keep_weights=keep_weights,
    )
    trials = plan(request, registry)
    return Arena(registry, trials, Store(settings.results), settings, executor, rerun)
