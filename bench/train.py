"""Train one method on one trial's data: AdamW, cosine, clip; keep the best by validation.

Resumable: a checkpoint holds weights, best weights, optimiser and step; data order and noise are
functions of the step, so that an interrupted run ends with the numbers of an unbroken one (on a
CPU, bit for bit). safetensors only: nothing that could run code is ever loaded.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from ..methods.method import Method, Progress
from ..tasks.task import Batch
from .seeds import derive
from .store import write_whole

Watch = Callable[[str, int, int, float], None]
"""Called with (phase, step, steps, loss) after every step; may raise to stop."""


class Diverged(Exception):
    """Training gave a non-finite loss or gradient after it had been finite: a result."""


@dataclass
class State:
    """Where training stands, beside the tensors."""

    step: int = 0
    seconds: float = 0.0
    best_step: int = 0
    best_accuracy: float = -1.0
    best_loss: float = math.inf
    curves: dict[str, list[float]] = field(default_factory=dict)
    parts: dict[str, list[float]] = field(default_factory=dict)

    def log(self, **values: float) -> None:
        """Append to the curves."""
        for name, value in values.items():
            self.curves.setdefault(name, []).append(value)

    def note(self, parts: Mapping[str, Tensor]) -> None:
        """Add an update's parts of the loss to the sums [total, updates] of this epoch."""
        for name, value in parts.items():
            sums = self.parts.setdefault(name, [0.0, 0.0])
            sums[0] += float(value.detach())
            sums[1] += 1

    def log_parts(self) -> None:
        """The epoch's mean of every part, over the updates that had it; NaN where none had."""
        for name, (total, updates) in self.parts.items():
            self.log(**{f"part/{name}": total / updates if updates else math.nan})
            self.parts[name] = [0.0, 0.0]


class Trainer:
    """One training run; `run` leaves the best weights in the model.

    rows are the training rows, a part for every length; a batch is of one part.
    """

    def __init__(
        self,
        model: Method,
        rows: Sequence[Batch],
        validation: Batch,
        protocol: Mapping[str, Any],
        data_seed: int,
        noise_seed: int,
    ) -> None:
        self.model, self.parts, self.validation = model, rows, validation
        self.protocol, self.data_seed, self.noise_seed = protocol, data_seed, noise_seed
        self.device = next(model.parameters()).device
        self.per_epoch = sum(len(part) // protocol["batch"] for part in rows)
        self.steps = self.per_epoch * protocol["epochs"]
        self.optimizer = torch.optim.AdamW(
            model.parameters(),
            lr=protocol["learning_rate"],
            weight_decay=protocol["weight_decay"],
        )
        self.state, self.best = State(), weights_of(model)
        self._epoch, self._order = -1, list[tuple[int, Tensor]]()

    def run(self, watch: Watch, checkpoint: Path, every_seconds: float) -> State:
        """Train from the checkpoint, if there is one, to the end."""
        if checkpoint.is_file():
            self.restore(checkpoint)
        started = saved = time.monotonic()
        before = self.state.seconds
        self.model.train()
        while self.state.step < self.steps:
            loss = self.update()
            self.state.seconds = before + time.monotonic() - started
            if self.state.step % self.per_epoch == 0:
                self.validate()
            if time.monotonic() - saved > every_seconds:
                self.save(checkpoint)
                saved = time.monotonic()
            watch("train", self.state.step, self.steps, loss)
        self.model.load_state_dict(self.best)
        self.model.eval()
        return self.state

    def learning_rate(self, step: int) -> float:
        """Linear warm-up over the protocol's share of steps, then a cosine to zero."""
        peak, warm = self.protocol["learning_rate"], self.protocol["warmup"] * self.steps
        if step < warm:
            return peak * (step + 1) / (warm + 1)
        return peak * 0.5 * (1 + math.cos(math.pi * (step - warm) / (self.steps - warm)))

    def batch(self, step: int) -> Batch:
        """The rows of an update: every epoch a fresh order, a function of its number."""
        epoch, place = divmod(step, self.per_epoch)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self.order(epoch)
        part, index = self._order[place]
        return self.parts[part].rows(index).to(self.device)

    def order(self, epoch: int) -> list[tuple[int, Tensor]]:
        """The batches of an epoch, as (part, row numbers): every row once, of one part a batch."""
        size, batches = self.protocol["batch"], []
        for number, part in enumerate(self.parts):
            axes = (number,) if number else ()
            order = permutation(len(part), "order", self.data_seed, epoch, *axes)
            whole = order[: len(part) // size * size]
            batches += [(number, index) for index in whole.split(size)] if len(whole) else []
        if len(self.parts) == 1:
            return batches
        shuffled = permutation(len(batches), "parts", self.data_seed, epoch)
        return [batches[i] for i in shuffled.tolist()]

    def update(self) -> float:
        """One step of AdamW; returns the loss.

        Raises:
            Diverged: the loss or the gradient is not finite, after it had been.
            ValueError: it never was.
        """
        step = self.state.step
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate(step)
        loss = self.model.loss(self.batch(step), Progress(step, self.steps, self.noise_seed))
        self.optimizer.zero_grad(set_to_none=True)
        loss.total.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.protocol["clip"])
        total = float(loss.total.detach())
        if not (math.isfinite(total) and math.isfinite(float(norm))):
            told = (
                f"loss {total} and gradient norm {float(norm)} at step {step + 1} of {self.steps}"
            )
            if step == 0:
                raise ValueError(f"expected a finite loss and gradient, got {told}")
            raise Diverged(told)
        self.optimizer.step()
        self.state.step += 1
        self.state.log(loss=total)
        self.state.note(loss.parts)
        return total

    def validate(self) -> None:
        """Score the validation rows; keep the weights if they are the best so far.

        Best is the highest token accuracy, then the lowest cross-entropy, then the earliest.
        """
        self.model.eval()
        correct = total = nats = 0.0
        size = self.protocol["batch"]
        with torch.no_grad():
            for start in range(0, len(self.validation), size):
                batch = self.validation.rows(slice(start, start + size)).to(self.device)
                logits = self.model.answer(batch.inputs, self.model.trained_iterations).logits
                right = (logits.argmax(-1) == batch.targets) & batch.mask
                losses = token_nats(logits, batch.targets)[batch.mask]
                correct += float(right.sum())
                total += float(batch.mask.sum())
                nats += float(losses.double().sum())
        self.model.train()
        state, accuracy, loss = self.state, correct / total, nats / total
        state.log(validation_step=state.step, validation_accuracy=accuracy, validation_loss=loss)
        state.log_parts()
        if (accuracy, -loss) > (state.best_accuracy, -state.best_loss):
            state.best_accuracy, state.best_loss = accuracy, loss
            state.best_step, self.best = state.step, weights_of(self.model)

    def save(self, path: Path) -> None:
        """Write a checkpoint whole."""
        tensors = {f"model/{name}": value for name, value in weights_of(self.model).items()}
        tensors |= {f"best/{name}": value for name, value in self.best.items()}
        for index, slots in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{index}/{key}": copy(slot) for key, slot in slots.items()}
        body = save(tensors, metadata={"state": json.dumps(asdict(self.state))})
        write_whole(path, lambda file: file.write(body))

    def restore(self, path: Path) -> None:
        """Take up a checkpoint; one that does not read or fit is dropped: training starts anew."""
        fresh, optimizer = self.best, self.optimizer.state_dict()
        try:
            with safe_open(path, framework="pt", device=str(self.device)) as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                state = State(**json.loads(file.metadata()["state"]))
            parts = nested(tensors)
            self.model.load_state_dict(parts["model"])
            slots = nested(parts["optimizer"])
            moments = {int(index): slot for index, slot in slots.items()}
            self.optimizer.load_state_dict({**optimizer, "state": moments})
        except Exception:  # safetensors, json and torch each raise errors of their own
            path.unlink(missing_ok=True)
            self.model.load_state_dict(fresh)
            self.optimizer.load_state_dict(optimizer)
            return
        self.best, self.state = parts["best"], state


def nested(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """`a/b` keys as dicts in a dict."""
    parts: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        part, _, rest = name.partition("/")
        parts.setdefault(part, {})[rest] = value
    return parts


def permutation(count: int, *axes: object) -> Tensor:
    """A permutation of count numbers, a function of the axes."""
    purpose, *rest = axes
    generator = torch.Generator().manual_seed(derive(str(purpose), *rest))
    return torch.randperm(count, generator=generator)


def token_nats(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy per token, [B, T], in nats."""
    return -logits.log_softmax(-1).gather(-1, targets.unsqueeze(-1)).squeeze(-1)


def copy(tensor: Tensor) -> Tensor:
    """A contiguous copy, detached."""
    return tensor.detach().clone().contiguous()


def weights_of(model: torch.nn.Module) -> dict[str, Tensor]:
    """A copy of the state dict."""
    return {name: copy(value) for name, value in model.state_dict().items()}
