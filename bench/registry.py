"""Names -> tasks and methods: the built-in tables, installed entry points, then `--plugin`.

A plug-in is a Python file or an importable module that holds a METHODS and/or TASKS dict, name ->
class or "module:class". A name that is taken is an error. A plug-in that fails to import fails
alone: its trials are recorded with the reason, the others run.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import importlib.util
import pkgutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from ..methods import METHODS, VARIANTS
from ..methods.method import Method
from ..tasks import TASKS
from ..tasks import VARIANTS as TASK_VARIANTS
from ..tasks.task import Task
from .errors import Misuse, one_line, unknown

Target = str | type


@dataclass
class Registry:
    """The tables as this session sees them; `origins` names the plug-in behind a name.

    variants: row name -> (method, the options that make the row); task_variants likewise.
    """

    methods: dict[str, Target] = field(default_factory=lambda: dict(METHODS))
    tasks: dict[str, Target] = field(default_factory=lambda: dict(TASKS))
    variants: dict[str, tuple[str, Mapping[str, Any]]] = field(
        default_factory=lambda: dict(VARIANTS)
    )
    task_variants: dict[str, tuple[str, Mapping[str, Any]]] = field(
        default_factory=lambda: dict(TASK_VARIANTS)
    )
    origins: dict[str, dict[str, str]] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)

    def method(self, name: str) -> type[Method]:
        """The method class of a name.

        Raises:
            Misuse: nobody offers the name, or what is offered is no Method.
            ImportError: it belongs to a plug-in that did not import.
        """
        return self._resolve("method", self.methods, name, Method)

    def task(self, name: str) -> type[Task]:
        """The task class of a name; raises as `method` does."""
        return self._resolve("task", self.tasks, name, Task)

    def _resolve(self, kind: str, table: Mapping[str, Target], name: str, base: type) -> Any:
        if name not in table:
            if self.broken:
                reasons = "; ".join(f"{path}: {why}" for path, why in self.broken.items())
                raise ImportError(f"no {kind} {name!r}, and a plug-in did not import: {reasons}")
            raise unknown(kind, name, table)
        target = table[name]
        found = pkgutil.resolve_name(target) if isinstance(target, str) else target
        if not (isinstance(found, type) and issubclass(found, base)):
            raise Misuse(f"expected {kind} {name!r} to be a {base.__name__} class, got {found!r}")
        return found

    def require(self, kind: str, names: Iterable[str]) -> None:
        """Refuse names that nobody offers, unless a plug-in that did not import may."""
        table, variants = self._tables(kind)
        for name in names:
            if name not in {*table, *variants} and not self.broken:
                raise unknown(kind, name, [*table, *variants])

    def behind(
        self, kind: str, name: str, given: Mapping[str, Any]
    ) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """The entry behind a line of the tables, a variant's options, and what a preset gives.

        A line is an entry of the table, a variant, or a preset's own by `of = "ENTRY"`.

        Raises:
            Misuse: nobody offers the name, or a preset's own is taken.
        """
        table, variants = self._tables(kind)
        own = dict(given)
        entry, options = variants.get(name, (name, {}))
        if "of" in own:
            if name in table or name in variants:
                raise Misuse(
                    f"the name {name!r} of a preset's variant is taken: give it another one"
                )
            entry = own.pop("of")
        self.require(kind, [entry])
        return entry, dict(options), own

    def add(self, kind: str, entries: Mapping[str, Target], origin: dict[str, str]) -> None:
        """Add a plug-in's entries."""
        table, variants = self._tables(kind)
        for name, target in entries.items():
            if name in table or name in variants:
                raise Misuse(
                    f"the {kind} name {name!r} of {origin['plugin']} is taken: give it another one"
                )
            table[name] = target
            self.origins[name] = origin

    def _tables(self, kind: str) -> tuple[dict[str, Target], Mapping[str, Any]]:
        if kind == "method":
            return self.methods, self.variants
        return self.tasks, self.task_variants


def load_registry(plugins: Iterable[str] = ()) -> Registry:
    """The tables, the installed entry points, then the named plug-ins.

    Raises:
        Misuse: a plug-in that does not exist, holds neither table, or takes a name that is taken.
    """
    registry = Registry()
    for kind in ("method", "task"):
        for entry in importlib.metadata.entry_points(group=f"closedloop.{kind}s"):
            distribution = entry.dist
            origin = {"plugin": entry.value}
            if distribution:
                origin |= {"distribution": distribution.name, "version": distribution.version}
            registry.add(kind, {entry.name: entry.value}, origin)
    for plugin in plugins:
        try:
            module = import_plugin(plugin)
        except Misuse:
            raise
        except Exception as error:  # a plug-in may fail in any way; it fails alone
            registry.broken[plugin] = one_line(error)
            continue
        add_module(registry, plugin, module)
    return registry


def add_module(registry: Registry, plugin: str, module: ModuleType) -> None:
    """Add what a plug-in module offers."""
    tables = {kind: getattr(module, f"{kind.upper()}S", None) for kind in ("method", "task")}
    if not any(isinstance(table, Mapping) for table in tables.values()):
        raise Misuse(f"expected a METHODS or TASKS dict in plug-in {plugin}, found neither")
    origin = {"plugin": plugin, "sha256": source_hash(module)}
    for kind, table in tables.items():
        registry.add(kind, table or {}, origin)


def import_plugin(plugin: str) -> ModuleType:
    """Import a plug-in by path (it ends in .py or holds a slash) or by module name."""
    if not plugin.endswith(".py") and "/" not in plugin:
        return importlib.import_module(plugin)
    path = Path(plugin).resolve()
    if not path.is_file():
        raise Misuse(f"no plug-in file {plugin}: expected a Python file or a module name")
    name = f"closedloop_plugin_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise Misuse(f"cannot import plug-in {plugin}: expected a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickling look the module up by name
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def source_hash(module: ModuleType) -> str:
    """SHA-256 of a module's source file, or "" where it has none."""
    path = getattr(module, "__file__", None)
    return hashlib.sha256(Path(path).read_bytes()).hexdigest() if path else ""
