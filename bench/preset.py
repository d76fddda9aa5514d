"""Preset files: their tables, read and checked."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import Misuse, unknown

PRESETS = Path(__file__).parent / "presets"
TRAIN: dict[str, type] = {
    "rows": int,
    "epochs": int,
    "batch": int,
    "validation_rows": int,
    "learning_rate": float,
    "weight_decay": float,
    "clip": float,
    "warmup": float,
}
RECIPE = ("learning_rate", "weight_decay", "clip", "warmup")
"""What a row may have of its own: rows, epochs and batches are one budget for all."""
EVALUATE: dict[str, type] = {"rows": int, "batch": int, "iterations": list}


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A preset file as read: version, seeds and the tables of presets/*.toml.

    only: row -> the lengths at which it runs, or task -> lengths, and then at no other task of the
    preset; a row that is not named runs everywhere.
    in_length: rows that are not tested beyond the length that they were trained at.
    recipes: row -> what its training has other values for, such as its published learning rate.
    """

    name: str
    version: int
    seeds: int
    sizes: Mapping[str, Any]
    train: Mapping[str, Any]
    evaluate: Mapping[str, Any]
    tasks: Mapping[str, Mapping[str, Any]]
    methods: Mapping[str, Mapping[str, Any]]
    only: Mapping[str, Sequence[int] | Mapping[str, Sequence[int]]] = field(default_factory=dict)
    in_length: Sequence[str] = ()
    recipes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def named(self) -> set[str]:
        """The rows that `only`, `in_length` and `recipes` speak of."""
        return {*self.only, *self.in_length, *self.recipes}

    def named_tasks(self) -> set[str]:
        """The tasks that `only` speaks of."""
        return {
            task for chosen in self.only.values() if isinstance(chosen, Mapping) for task in chosen
        }

    def wants(self, row: str, task: str, length: int) -> bool:
        """Whether the preset runs this row on this task at this length."""
        chosen = self.only.get(row, [length])
        if isinstance(chosen, Mapping):
            return task not in self.tasks or length in chosen.get(task, ())
        return length in chosen

    def training(self, row: str, method: str) -> dict[str, Any]:
        """The train table of a row, with the recipe of its method and its own.

        Raises:
            Misuse: a recipe that changes the budget.
        """
        own = {**self.recipes.get(method, {}), **self.recipes.get(row, {})}
        for key in own:
            if key not in RECIPE:
                raise unknown(f"recipe option of {row}", key, RECIPE)
        return {**self.train, **own}

    def tested(self, row: str, lengths: tuple[int, ...]) -> tuple[int, ...]:
        """The test lengths of a row, of those of its task: the trained one comes first."""
        return lengths[:1] if row in self.in_length else lengths


def preset_names() -> list[str]:
    """The presets that come with the package."""
    return sorted(path.stem for path in PRESETS.glob("*.toml"))


def load_preset(name: str) -> Preset:
    """A preset by name, or by the path of a TOML file.

    Raises:
        Misuse: no such preset, or a file that is not one.
    """
    path = Path(name) if name.endswith(".toml") else PRESETS / f"{name}.toml"
    if not path.is_file():
        raise unknown("preset", name, preset_names())
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        return Preset(name=path.stem, **values)
    except (tomllib.TOMLDecodeError, TypeError) as error:
        raise Misuse(f"preset {path} does not read: {error}") from error


def protocol(
    name: str, known: Mapping[str, type], values: Mapping[str, Any], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """The train or evaluate table, complete and of the right types."""
    merged = {**values, **settings.get(name, {})}
    for key in merged:
        if key not in known:
            raise unknown(f"{name} option", key, known)
    for key, kind in known.items():
        if key not in merged:
            raise Misuse(f"expected {name}.{key} in the preset, found none")
        merged[key] = coerce(f"{name}.{key}", kind, merged[key])
    for key in ("rows", "epochs", "batch", "validation_rows"):
        if merged.get(key, 1) < 1:
            raise Misuse(f"expected {name}.{key} ≥ 1, got {merged[key]}")
    budgets = merged.get("iterations", [0])
    if not budgets or any(type(k) is not int or k < 0 for k in budgets):
        raise Misuse(f"expected {name}.iterations to be a list of integers ≥ 0, got {budgets}")
    if len(set(budgets)) < len(budgets):
        raise Misuse(f"expected {name}.iterations without repeats, got {budgets}")
    if name == "train" and merged["batch"] > merged["rows"]:
        raise Misuse(f"expected train.batch ≤ train.rows = {merged['rows']}, got {merged['batch']}")
    return merged


def coerce(name: str, kind: type, value: Any) -> Any:
    """The value if it has the type (an integer may stand for a float)."""
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise Misuse(f"expected {kind.__name__} for {name}, got {value!r}")
    return value
