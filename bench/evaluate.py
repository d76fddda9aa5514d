"""Score a trained method at its iteration budgets, as raw counts per stratum."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..methods.method import Method, Step
from ..tasks.task import Batch, Task
from .outcomes import Witness
from .train import Watch, token_nats

SETTLED = 1e-3
"""Relative change under which a token counts as converged (the paper's §5 and claim E4)."""

Observations = dict[str, tuple[Tensor, Tensor]]
"""Metric -> (n, value), both [B, T] for a metric of the token or [B] for one of the row."""


class Tally:
    """Sums of observations by split, length, budget, axis, stratum and metric."""

    def __init__(self) -> None:
        self.sums: dict[tuple[Any, ...], list[float]] = {}

    def add(self, place: tuple[Any, ...], seen: Observations, axes: Mapping[str, Tensor]) -> None:
        """Add a batch's observations to every stratum that they fall in."""
        for axis, column in axes.items():
            for metric, (count, value) in seen.items():
                if column.dim() == 2 and count.dim() == 1:
                    continue  # a row has no one stratum on an axis of positions
                self._add((*place, axis), metric, count, value, column)

    def _add(
        self, place: tuple[Any, ...], metric: str, count: Tensor, value: Tensor, column: Tensor
    ) -> None:
        if column.dim() == 1 and count.dim() == 2:
            count, value = count.sum(1), value.double().sum(1)
        flat = column.flatten()
        counts = torch.bincount(flat, count.flatten().double())
        sums = torch.bincount(flat, value.flatten().double())
        pairs = zip(counts.tolist(), sums.tolist(), strict=True)
        for stratum, (n, total) in enumerate(pairs):
            if n:
                slot = self.sums.setdefault((*place, stratum, metric), [0.0, 0.0])
                slot[0] += n
                slot[1] += total

    def rows(self) -> list[list[Any]]:
        """Rows of METRIC_COLUMNS; whole sums as integers."""
        return [
            [*place, int(n), int(total) if total == int(total) else total]
            for place, (n, total) in sorted(self.sums.items(), key=lambda item: repr(item[0]))
            if total == total  # NaN sums are left out: their n_nonfinite row tells
        ]


def answered(
    task: Task, batch: Batch, answers: Tensor, finite: Tensor | None = None
) -> Observations:
    """The metrics that answers [B, T] alone decide: token, sequence, prefix, the task's checks.

    An answer that is not `finite` is wrong.
    """
    mask = batch.mask
    right = (answers == batch.targets) & mask
    if finite is not None:
        right = right & finite
    wrong = ~right & mask
    solved = (wrong.cumsum(1) == 0) & mask
    rows = torch.ones(len(batch), device=mask.device)
    seen: Observations = {
        "token": (mask, right),
        "sequence": (rows, ~wrong.any(1)),
        "prefix": (rows, solved.sum(1)),
    }
    for name, (correct, scored) in task.checks(batch, answers).items():
        hit = correct & scored
        if finite is not None:  # a check may read other answers of the row
            hit = hit & finite.all(-1, keepdim=True)
        seen[name] = (scored, hit)
    return seen


def observe(step: Step, batch: Batch, task: Task, first: Tensor, used: Tensor) -> Observations:
    """All metrics of one step: the answers', nats, what the solver did, the task's measures.

    And the entropy of the read-out, which is kept of single tokens alone.
    first [B, T] are the answers at zero iterations; used [B, T] the iterations taken so far.
    """
    mask, finite = batch.mask, step.logits.isfinite().all(-1)
    seen = answered(task, batch, step.logits.argmax(-1), finite)
    right, right_first = seen["token"][1], (first == batch.targets) & mask
    seen |= {
        "nats": (mask & finite, token_nats(step.logits, batch.targets).where(mask & finite, 0)),
        "nonfinite": (mask, ~finite & mask),
        "gained": (mask, right & ~right_first),
        "lost": (mask, right_first & ~right),
        "change": (mask, step.change.nan_to_num(posinf=0).where(mask, 0)),
        "settled": (mask, (step.change < SETTLED) & mask),
        "used": (mask, used.where(mask, 0)),
    }
    if step.energy is not None:
        seen["energy"] = (mask, step.energy.where(mask & step.energy.isfinite(), 0))
    for name, (value, scored) in task.measures(batch, step.logits).items():
        seen[name] = (scored & finite, value.where(scored & finite, 0))
    logs = step.logits.log_softmax(-1)
    seen["entropy"] = (mask & finite, -(logs.exp() * logs).sum(-1).where(mask & finite, 0))
    return seen


def evaluate(
    model: Method,
    task: Task,
    batch: Batch,
    place: tuple[str, int],
    budgets: Sequence[int],
    size: int,
    tally: Tally,
    watch: Watch,
    witness: Witness | None = None,
) -> None:
    """Score all rows of a batch at every budget, `size` rows at a time.

    The witness takes down what single rows scored and how every iteration moved.

    Raises:
        ValueError: a step of the wrong shape, the wrong number of steps, or logits that are not
            finite within the trained iterations.
    """
    device = next(model.parameters()).device
    if model.iterates == "nothing":
        budgets = [0]
    parts, witness = range(0, len(batch), size), witness or Witness()
    for number, start in enumerate(parts, 1):
        part = batch.rows(slice(start, start + size)).to(device)
        axes = {"all": torch.zeros(len(part), dtype=torch.int64, device=device), **part.strata}
        witness.begin(part.mask)
        with torch.no_grad():
            for taken, seen in looks(model, task, part, budgets, witness):
                witness.look(taken, seen)
                tally.add((*place, taken), {m: seen[m] for m in seen if m != "entropy"}, axes)
        watch("evaluate", number, len(parts), float("nan"))


def looks(
    model: Method, task: Task, part: Batch, budgets: Sequence[int], witness: Witness
) -> Iterator[tuple[int, Observations]]:
    """What is seen at every budget, at the cost that the method's steps allow.

    Of runs to several budgets the longest is traced.
    """
    if not model.incremental:
        yield from asked(model, task, part, budgets, witness)
        return
    for wanted in [budgets] if model.anytime else [[k] for k in budgets]:
        traced = witness if max(wanted) == max(budgets) else Witness()
        yield from observed(model, task, part, wanted, traced)


def asked(
    model: Method, task: Task, part: Batch, budgets: Sequence[int], witness: Witness
) -> Iterator[tuple[int, Observations]]:
    """A pass for each budget, and one for the answers at zero iterations."""
    start = model.look(part.inputs, 0)
    first = start.logits.argmax(-1)
    for taken in budgets:
        step = model.look(part.inputs, taken) if taken else start
        require_shapes(step, part, task.classes, taken, model.trained_iterations)
        witness.trace(taken, step, part.mask)
        used = torch.full(part.mask.shape, float(taken), device=part.mask.device)
        yield taken, observe(step, part, task, first, used)


def observed(
    model: Method, task: Task, part: Batch, budgets: Sequence[int], witness: Witness
) -> Iterator[tuple[int, Observations]]:
    """The wanted budgets of one run to the highest of them, with what is seen there."""
    first, used, taken = None, torch.zeros(part.mask.shape, device=part.mask.device), -1
    for taken, step in enumerate(model.deliberate(part.inputs, max(budgets))):
        require_shapes(step, part, task.classes, taken, model.trained_iterations)
        witness.trace(taken, step, part.mask)
        first = step.logits.argmax(-1) if first is None else first
        if taken:
            used += 1.0 if step.active is None else step.active.float()
        if taken in budgets:
            yield taken, observe(step, part, task, first, used)
    if taken != max(budgets):
        raise ValueError(f"expected {max(budgets) + 1} steps of deliberation, got {taken + 1}")


def require_shapes(step: Step, batch: Batch, classes: int, taken: int, trained: int) -> None:
    """Refuse a step that does not answer every position."""
    expected = (*batch.inputs.shape, classes)
    if step.logits.shape != expected:
        raise ValueError(f"expected logits of shape {expected}, got {tuple(step.logits.shape)}")
    for name in ("change", "energy", "active", "residual"):
        value = getattr(step, name)
        if value is not None and value.shape != batch.inputs.shape:
            raise ValueError(
                f"expected {name} of shape {tuple(batch.inputs.shape)}, got {tuple(value.shape)}"
            )
    if taken <= trained and not bool(step.logits.isfinite().all()):
        raise ValueError(f"expected finite logits, got NaN or infinity after {taken} iterations")


def seen_in_training(test: Tensor, train: Tensor) -> Tensor:
    """1 where a test row [B, T] stands among the training rows too, else 0; uint8 [B]."""
    known = {row.tobytes() for row in train.cpu().numpy()}
    hits = [row.tobytes() in known for row in test.to(train.dtype).cpu().numpy()]
    return torch.tensor(hits, dtype=torch.uint8)
