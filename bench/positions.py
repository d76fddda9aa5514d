"""How many positions a row has, and how many of them are scored: FLOPs per answer follow.

Costs are counted per position. A method that is shown the row first and answers on a second copy of
it has twice the positions for as many answers, so that methods compare by FLOPs per scored token.
"""

from __future__ import annotations

from .errors import Misuse
from .levels import form_text
from .registry import Registry
from .trial import Record


def positions(record: Record, registry: Registry) -> int | None:
    """Positions of a test row of the trained length, as this method was asked the task.

    None where the task or the method is not at hand.
    """
    trial = record.trial
    try:
        task = registry.task(trial.task)(**trial.task_options)
        asked = task.form(registry.method(trial.method).causal)
    except (ImportError, Misuse, TypeError, ValueError):
        return None
    return asked.positions(trial.length) if asked else None


def scored_per_row(record: Record) -> float | None:
    """Scored tokens of a test row of the trained length, on average."""
    counts = {
        metric: n
        for split, length, _, axis, _, metric, n, _ in record.metrics
        if split == "test" and axis == "all" and length == record.trial.length
    }
    if not counts.get("sequence") or not counts.get("token"):
        return None
    return counts["token"] / counts["sequence"]


def in_other_form(record: Record) -> str:
    """`layout=copy`, where the method was asked the task so at its trained length; else blank."""
    told = record.data.get(str(record.trial.length), {})
    return form_text(told.get("form", {}))


def flops_per_row(record: Record, registry: Registry) -> dict[int, float]:
    """FLOPs of answering a test row, by iteration budget; empty where they are not known."""
    width = positions(record, registry)
    if width is None:
        return {}
    counted = record.costs.get("answer_flops_per_token", {})
    return {int(budget): flops * width for budget, flops in counted.items()}


def flops_per_answer(record: Record, registry: Registry) -> dict[int, float]:
    """FLOPs per scored token, by iteration budget; empty where they are not known."""
    scored = scored_per_row(record)
    if not scored:
        return {}
    return {k: flops / scored for k, flops in flops_per_row(record, registry).items()}
