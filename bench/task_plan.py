"""From a preset's tasks to the task fields of its trials: options, lengths, training ranges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any

from ..tasks.task import Task
from .errors import Misuse, unknown
from .preset import Preset, coerce
from .registry import Registry

TASK_AXES = ("lengths", "train_from", "extrapolate")


def planned_tasks(
    names: Sequence[str],
    preset: Preset,
    wanted: Sequence[int],
    settings: Mapping[str, Mapping[str, Any]],
    registry: Registry,
) -> list[dict[str, Any]]:
    """The task fields of the trials: one entry a task and length."""
    planned = []
    for name in names:
        base, fixed, own = registry.behind("task", name, preset.tasks.get(name, {}))
        given = {**fixed, **own, **settings.get(name, {})}
        axes = {axis: given.pop(axis) for axis in TASK_AXES if axis in given}
        for axis in ("lengths", "extrapolate"):
            if type(axes.get(axis, [])) is not list:
                raise Misuse(f"expected {name}.{axis} as a list of lengths, got {axes[axis]!r}")
        version, options = task_options(base, given, registry)
        task = task_of(base, options, registry)
        lengths = wanted or axes.get("lengths") or own_lengths(task, preset)
        further, least = axes.get("extrapolate", []), axes.get("train_from")
        for length in dict.fromkeys(lengths):
            longer = (k for k in further if type(k) is not int or k > length)
            tests = tuple(dict.fromkeys((length, *longer)))
            for size in tests:
                require_fit(name, task, size)
            planned.append(
                {
                    "task": base,
                    "task_variant": "" if name == base else name,
                    "task_version": version,
                    "task_options": options,
                    "length": length,
                    "test_lengths": tests,
                    "train_lengths": training_lengths(name, task, least, length),
                }
            )
    return planned


def task_of(name: str, options: Mapping[str, Any], registry: Registry) -> Task | None:
    """The task under its options; None where its plug-in did not import."""
    try:
        return registry.task(name)(**options)
    except ImportError:
        return None


def require_fit(name: str, task: Task | None, length: Any) -> None:
    """Refuse a length that the task cannot fill.

    Raises:
        Misuse: what was expected, what came.
    """
    if type(length) is not int or length < 1:
        raise Misuse(f"expected lengths of at least 1, got {length!r}")
    if task is None:
        return
    try:
        task.require_length(length)
    except ValueError as error:
        raise Misuse(f"task {name}: {error}") from error


def own_lengths(task: Task | None, preset: Preset) -> Sequence[int]:
    """Lengths of a task that the preset does not name: its first task's, or the task's own two."""
    lengths: Sequence[int] = next(iter(preset.tasks.values()))["lengths"]
    return lengths if task is None or all(fits(task, n) for n in lengths) else task.lengths


def fits(task: Task, length: int) -> bool:
    """Whether the task can fill a length."""
    try:
        task.require_length(length)
    except ValueError:
        return False
    return True


def training_lengths(name: str, task: Task | None, least: Any, length: int) -> tuple[int, ...]:
    """Every length from `least` to this one that the task can fill; () to train on it alone."""
    if least is None or task is None:
        return ()
    if type(least) is not int or least < 1:
        raise Misuse(f"expected {name}.train_from as an integer of at least 1, got {least!r}")
    found = tuple(n for n in range(min(least, length), length + 1) if fits(task, n))
    return found if len(found) > 1 else ()


def task_options(
    name: str, given: Mapping[str, Any], registry: Registry
) -> tuple[int, dict[str, Any]]:
    """Version and complete options of a task; as given where its plug-in did not import."""
    try:
        task = registry.task(name)
    except ImportError:
        return 0, dict(given)
    known = {option.name: option for option in fields(task)}  # type: ignore[arg-type]
    for key, value in given.items():
        if key not in known:
            raise unknown(f"option of {name}", key, [*known, *TASK_AXES])
        default = known[key].default
        if default is not MISSING and default is not None:
            given = {**given, key: coerce(f"{name}.{key}", type(default), value)}
    try:
        made = task(**given)
        return made.version, made.options()
    except (TypeError, ValueError) as error:
        raise Misuse(f"task {name}: {error}") from error
