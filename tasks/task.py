"""The interface of a task: what it asks, and how its answers are scored."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor

Split = Literal["train", "validation", "test"]
SPLITS: tuple[str, ...] = get_args(Split)


@dataclass(frozen=True)
class Batch:
    """B rows of one length T, with the answers in a channel of their own.

    inputs and targets are [B, T] class ids of any integer dtype, mask is [B, T] bool (True where
    scored). strata holds one column per difficulty axis: [B] for an axis of the row, [B, T] for an
    axis of the position; a stratum is a small non-negative id.

    Raises:
        ValueError: a shape or dtype breaks the above.
    """

    inputs: Tensor
    targets: Tensor
    mask: Tensor
    strata: Mapping[str, Tensor]

    def __post_init__(self) -> None:
        """Refuse shapes and dtypes that would only fail later, far from their cause."""
        if self.inputs.dim() != 2:
            raise ValueError(f"expected inputs [B, T], got shape {tuple(self.inputs.shape)}")
        for name, tensor in (("targets", self.targets), ("mask", self.mask)):
            if tensor.shape != self.inputs.shape:
                raise ValueError(
                    f"expected {name} of the inputs' shape {tuple(self.inputs.shape)}, "
                    f"got {tuple(tensor.shape)}"
                )
        if self.mask.dtype != torch.bool:
            raise ValueError(f"expected a bool mask, got {self.mask.dtype}")
        for axis, column in self.strata.items():
            if column.shape not in (self.inputs.shape, self.inputs.shape[:1]):
                raise ValueError(
                    f"expected stratum {axis!r} of shape [B] or [B, T], got {tuple(column.shape)}"
                )

    def __len__(self) -> int:
        """Rows in the batch."""
        return self.inputs.shape[0]

    def rows(self, index: Tensor | slice) -> Batch:
        """The batch of the rows that `index` picks."""
        return Batch(
            self.inputs[index],
            self.targets[index],
            self.mask[index],
            {axis: column[index] for axis, column in self.strata.items()},
        )

    def to(self, device: torch.device | str) -> Batch:
        """The batch on `device`, with ids as int64, as methods read them."""
        return Batch(
            self.inputs.to(device).long(),
            self.targets.to(device).long(),
            self.mask.to(device),
            {axis: column.to(device).long() for axis, column in self.strata.items()},
        )


class Task(ABC):
    """A question with a dial: rows of any length, exact answers, strata of difficulty.

    A task is a frozen dataclass; its fields are its options. `vocab` and `classes` are the numbers
    of input and answer ids; `causal` says that position t is answerable from inputs ≤ t. `version`
    rises whenever a row changes.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    vocab: int
    classes: int
    causal: ClassVar[bool]
    ceiling: ClassVar[float] = 1.0

    @abstractmethod
    def sample(self, n: int, length: int, seed: int, split: Split) -> Batch:
        """Rows 0 … n−1 of a split.

        Row i depends on (task, version, options, split, seed, length, i) only.

        Raises:
            ValueError: a size that the task cannot fill, or an unknown split.
        """

    @abstractmethod
    def label(self, inputs: Tensor) -> Tensor:
        """Targets [B, T] recomputed from inputs [B, T] alone."""

    @abstractmethod
    def chance(self, length: int) -> float:
        """Expected token accuracy of the best answer that reads no more than its own token."""

    @abstractmethod
    def shortcut(self, length: int) -> float:
        """Expected token accuracy of the strongest trivial rule on unstratified rows."""

    def stratum_name(self, axis: str, stratum: int) -> str:
        """A short name of one stratum of `axis`, for tables."""
        return f"{axis} {stratum}"

    def checks(self, batch: Batch, answers: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        """Further token-level checks of answers [B, T]: name -> (correct, scored), bool [B, T]."""
        return {}

    def options(self) -> dict[str, Any]:
        """The options as plain values."""
        return asdict(self)  # type: ignore[call-overload]

    @classmethod
    def option_names(cls) -> list[str]:
        """The names that `options` holds and the constructor takes."""
        return [field.name for field in fields(cls)]  # type: ignore[arg-type]


def require_sizes(n: int, length: int, split: str, minimum: int = 1) -> None:
    """Refuse sizes and splits that no task can fill, in one clear line."""
    if split not in SPLITS:
        raise ValueError(f"no split {split!r}. Known: {', '.join(SPLITS)}")
    if length < minimum:
        raise ValueError(f"expected a length of at least {minimum}, got {length}")
    if n < 0:
        raise ValueError(f"expected a number of rows ≥ 0, got {n}")
