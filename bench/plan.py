"""From a preset and options to trials: the product of tasks, lengths, methods and seeds."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any

from .errors import Misuse, unknown
from .preset import EVALUATE, TRAIN, Preset, coerce, load_preset, protocol
from .registry import Registry
from .task_plan import planned_tasks
from .trial import Trial


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the user asked for; None and empty leave the preset's value."""

    preset: str = "quick"
    methods: Sequence[str] = ()
    tasks: Sequence[str] = ()
    lengths: Sequence[int] = ()
    seeds: int | None = None
    settings: Sequence[str] = ()


def plan(request: Request, registry: Registry) -> list[Trial]:
    """The trials of a request, sorted by name.

    Raises:
        Misuse: an unknown name or option, or a size that makes no sense.
    """
    preset = load_preset(request.preset)
    settings = parse_settings(request.settings)
    methods = list(dict.fromkeys(request.methods or preset.methods))
    tasks = list(dict.fromkeys(request.tasks or preset.tasks))
    bases = {name: base_of(name, preset, registry) for name in methods}
    for row in sorted(preset.named() - {*preset.methods, *registry.variants}):
        registry.require("method", [row])
    for name in sorted(preset.named_tasks() - {*preset.tasks}):
        raise unknown("task of the preset in its `only`", name, preset.tasks)
    refuse_unknown_targets(settings, methods, tasks)
    seeds = preset.seeds if request.seeds is None else request.seeds
    if seeds < 1:
        raise Misuse(f"expected at least 1 seed, got {seeds}")
    evaluate = protocol("evaluate", EVALUATE, preset.evaluate, settings)
    trials = [
        Trial(
            **{**task, "test_lengths": preset.tested(row, task["test_lengths"])},
            **method,
            seed=seed,
            preset=preset.name,
            preset_version=preset.version,
            train=protocol("train", TRAIN, preset.training(row, method["method"]), settings),
            evaluate=evaluate,
        )
        for task in planned_tasks(tasks, preset, request.lengths, settings, registry)
        for method in planned_methods(bases, preset, settings, registry)
        for row in [method["variant"] or method["method"]]
        if request.lengths
        or preset.wants(row, task["task_variant"] or task["task"], task["length"])
        for seed in range(seeds)
    ]
    if not trials:
        lengths = {row: preset.only[row] for row in methods if row in preset.only}
        raise Misuse(f"nothing to run: preset {preset.name} runs {lengths}; ask for --lengths")
    for trial in trials:
        require_batches(trial)
    return sorted(trials, key=lambda trial: trial.name)


def require_batches(trial: Trial) -> None:
    """Refuse a training range with less than a batch of rows for every length."""
    lengths, rows = len(trial.trained_on), trial.train["rows"]
    if rows // lengths < trial.train["batch"]:
        least = lengths * trial.train["batch"]
        raise Misuse(
            f"expected train.rows ≥ {least} for the {lengths} training lengths of "
            f"{trial.question}, got {rows}"
        )


def parse_settings(settings: Iterable[str]) -> dict[str, dict[str, Any]]:
    """`target.key=value` strings by target; a value reads as TOML, else as text."""
    parsed: dict[str, dict[str, Any]] = {}
    for setting in settings:
        path, equals, text = setting.partition("=")
        target, dot, key = path.strip().partition(".")
        if not (equals and dot and target and key):
            raise Misuse(f"expected --set target.key=value, got {setting!r}")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text
        parsed.setdefault(target, {})[key] = value
    return parsed


def refuse_unknown_targets(
    settings: Mapping[str, Any], methods: Sequence[str], tasks: Sequence[str]
) -> None:
    """`--set` reaches the planned methods and tasks, train and evaluate."""
    for target in settings:
        if target not in {*methods, *tasks, "train", "evaluate"}:
            raise unknown("--set target", target, [*methods, *tasks, "train", "evaluate"])


def base_of(name: str, preset: Preset, registry: Registry) -> tuple[str, dict[str, Any]]:
    """The method behind a row of the table, and the options that the row is made of.

    A preset's options of the method hold for its variants too; a variant's own come last.

    Raises:
        Misuse: nobody offers the name.
    """
    method, options, given = registry.behind("method", name, preset.methods.get(name, {}))
    shared = preset.methods.get(method, {}) if method != name else {}
    return method, {**shared, **options, **given}


def planned_methods(
    bases: Mapping[str, tuple[str, Mapping[str, Any]]],
    preset: Preset,
    settings: Mapping[str, Mapping[str, Any]],
    registry: Registry,
) -> list[dict[str, Any]]:
    """The method fields of the trials: one entry a row."""
    planned = []
    for name, (method, given) in bases.items():
        given = {**given, **settings.get(name, {})}
        version, options = method_options(method, given, preset.sizes, registry)
        entry = {"method": method, "method_version": version, "method_options": options}
        planned.append({**entry, "variant": "" if name == method else name})
    return planned


def method_options(
    name: str, given: Mapping[str, Any], sizes: Mapping[str, Any], registry: Registry
) -> tuple[int, dict[str, Any]]:
    """Version and complete options of a method: sizes where it has such fields, then the given."""
    try:
        method = registry.method(name)
    except ImportError:
        return 0, dict(given)
    known = {field.name: field for field in fields(method.Config)}
    for key, value in given.items():
        if key not in known:
            raise unknown(f"option of {name}", key, known)
        default = known[key].default
        if default is not MISSING and default is not None:
            given = {**given, key: coerce(f"{name}.{key}", type(default), value)}
    shared = {key: value for key, value in sizes.items() if key in known}
    try:
        return method.version, options_of(method.Config(**{**shared, **given}))
    except (TypeError, ValueError) as error:
        raise Misuse(f"method {name}: {error}") from error


def options_of(config: Any) -> dict[str, Any]:
    """A method's options as plain values; one that came `later` is left out at its default.

    So a trial planned before the option existed keeps its id, as with a task's (Task.options).
    """
    late = {f.name: f.default for f in fields(config) if f.metadata.get("later")}
    values = asdict(config)
    return {k: v for k, v in values.items() if k not in late or v != late[k]}
