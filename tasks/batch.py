"""What a task gives: rows with their answers, mask and strata."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """B rows of T positions, with the answers in a channel of their own.

    inputs and targets are [B, T] class ids of any integer dtype, mask is [B, T] bool (True where
    scored); a target that is not scored is some class id too, 0 unless the task says more. strata
    holds one column per difficulty axis: [B] for an axis of the row, [B, T] for an axis of the
    position; a stratum is a small non-negative id. extra [B, …] holds what the task's own metrics
    need beside the rows, and no method reads.

    Raises:
        ValueError: a shape or dtype breaks the above.
    """

    inputs: Tensor
    targets: Tensor
    mask: Tensor
    strata: Mapping[str, Tensor]
    extra: Mapping[str, Tensor] = field(default_factory=dict)

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
        for name, column in self.extra.items():
            if column.shape[:1] != self.inputs.shape[:1]:
                raise ValueError(
                    f"expected extra {name!r} of shape [B, …], got {tuple(column.shape)}"
                )

    def __len__(self) -> int:
        """Rows in the batch."""
        return self.inputs.shape[0]

    def rows(self, index: Tensor | slice) -> Batch:
        """The batch of the rows that `index` picks."""
        return self._each(lambda column: column[index])

    def to(self, device: torch.device | str) -> Batch:
        """The batch on `device`, with ids as int64, as methods read them."""
        return self._each(lambda column: moved(column, device))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        return Batch(
            change(self.inputs),
            change(self.targets),
            change(self.mask),
            {axis: change(column) for axis, column in self.strata.items()},
            {name: change(column) for name, column in self.extra.items()},
        )


def moved(column: Tensor, device: torch.device | str) -> Tensor:
    """A column on `device`; integers become int64, bools and floats stay what they are."""
    column = column.to(device)
    plain = column.dtype == torch.bool or column.dtype.is_floating_point
    return column if plain else column.long()
