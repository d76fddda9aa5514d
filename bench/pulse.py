"""Signs of life of a trial: steps become heartbeats, and the wall limit an exception."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

BEAT_SECONDS = 1.0


class Timeout(Exception):
    """The trial's wall limit is over."""


class Pulse:
    """Turns steps into heartbeats, about one a second, and the wall limit into an exception."""

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
