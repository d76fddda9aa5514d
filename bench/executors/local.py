"""One child process a trial, some at a time: a killed child costs that trial only.

Children are forked from a server process that has imported torch and nothing of the session, so
that a start costs milliseconds. A child ends when its parent does. The parent holds the trial's
lock; trials that another run holds are looked at again later.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..errors import one_line
from ..registry import load_registry
from ..run import Settings, incomplete, run_trial
from ..store import Store
from ..trial import Trial
from .executor import SAY_SECONDS, Executor, Say, finished, in_running_order, told

GRACE_SECONDS = 15.0
"""After the wall limit, which a child keeps by itself, before it is killed."""

POLL_SECONDS = 0.2


@dataclass
class Child:
    """A trial in flight."""

    trial: Trial
    process: Any
    lock: FileLock
    parent_end: Connection
    slot: int
    started: float


class Local(Executor):
    """`jobs` children at a time."""

    def run(self, trials: Sequence[Trial], settings: Settings, say: Say) -> Iterator[Trial]:
        """Yield trials as their children end."""
        store, queue = Store(settings.results), in_running_order(trials)
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["closedloop.bench.executors.warm"])
        children: list[Child] = []
        told_at, total = time.monotonic(), len(queue)
        try:
            while queue or children:
                done = self.start(queue, children, context, store, settings)
                yield from done
                for child in self.ended(children, settings):
                    self.close(child, store, settings, say)
                    yield child.trial
                if time.monotonic() - told_at > SAY_SECONDS:
                    told_at = time.monotonic()
                    number = total - len(queue) - len(children)
                    self.tell(children, store, say, f"[{number}/{total}]")
        finally:
            for child in children:
                stop(child)

    def start(
        self,
        queue: list[Trial],
        children: list[Child],
        context: Any,
        store: Store,
        settings: Settings,
    ) -> list[Trial]:
        """Fill the free slots; returns trials that another run has finished meanwhile."""
        done = []
        for trial in list(queue):
            if len(children) >= settings.jobs:
                break
            lock = store.lock(trial.id)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            queue.remove(trial)
            if finished(store, trial):
                lock.release()
                done.append(trial)
                continue
            free = set(range(settings.jobs)) - {child.slot for child in children}
            children.append(launch(trial, lock, min(free), context, settings))
        return done

    def ended(self, children: list[Child], settings: Settings) -> list[Child]:
        """Children that have ended, or were stopped for being over their time."""
        ready = wait([child.process.sentinel for child in children], POLL_SECONDS)
        if not children:
            time.sleep(POLL_SECONDS)
        over = []
        for child in list(children):
            limit = settings.timeout
            late = limit and time.monotonic() - child.started > limit + GRACE_SECONDS
            if late:
                stop(child)
            if late or child.process.sentinel in ready:
                children.remove(child)
                over.append(child)
        return over

    def close(self, child: Child, store: Store, settings: Settings, say: Say) -> None:
        """Record what a child could not record itself, and free its lock."""
        child.process.join()
        code = child.process.exitcode
        child.parent_end.close()
        log = store.log(child.trial.id)
        limit = settings.timeout
        if code != 0:
            tail = log.read_text(errors="replace")[-2000:] if log.is_file() else ""
            if limit and time.monotonic() - child.started > limit + GRACE_SECONDS:
                status, reason = "timeout", f"killed {GRACE_SECONDS:g} s after its {limit:g} s"
            elif code < 0:
                status, reason = "crash", f"signal {-code} ({signal.Signals(-code).name})"
            else:
                status, reason = "crash", f"exit code {code}"
            text = f"{reason}\n{tail}".strip()
            registry = load_registry(settings.plugins)
            try:
                store.save(incomplete(child.trial, settings, registry, status, text))
            except OSError as error:
                say(f"{child.trial.name}: cannot save its record: {one_line(error)}")
        else:
            log.unlink(missing_ok=True)
        child.process.close()
        child.lock.release()

    def tell(self, children: list[Child], store: Store, say: Say, head: str) -> None:
        """One line for every trial that has been running for a while."""
        beats = store.beats()
        for child in children:
            values = beats.get(child.trial.id)
            if values:
                say(f"{head} {told(values)}")


def launch(trial: Trial, lock: FileLock, slot: int, context: Any, settings: Settings) -> Child:
    """Start a child for a trial whose lock is held."""
    parent_end, child_end = context.Pipe()
    device = settings.device
    if device == "cuda":
        import torch

        device = f"cuda:{slot % torch.cuda.device_count()}"
    own = replace(settings, device=device)
    log = Store(settings.results).log(trial.id)
    process = context.Process(
        target=child_main, args=(trial.to_dict(), own, str(log), child_end), daemon=True
    )
    process.start()
    child_end.close()
    return Child(trial, process, lock, parent_end, slot, time.monotonic())


def stop(child: Child) -> None:
    """End a child at once; its checkpoint stays."""
    if child.process.is_alive():
        child.process.kill()
    child.process.join()
    child.lock.release()


def child_main(spec: dict[str, Any], settings: Settings, log: str, parent: Connection) -> None:
    """The child: runs one trial, its output in a log."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    threading.Thread(target=end_with, args=(parent,), daemon=True).start()
    try:
        run_trial(Trial.from_dict(spec), load_registry(settings.plugins), settings)
    except OSError as error:
        print(f"cannot save the record: {one_line(error)}", file=sys.stderr)
        sys.exit(1)


def end_with(parent: Connection) -> None:
    """Leave as soon as the parent's end of the pipe closes: it is gone."""
    try:
        parent.recv()
    except (EOFError, OSError):
        os._exit(1)
