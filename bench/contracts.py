"""The promises that every task and method keeps, as tests.

They run over the built-in tables in this project's own suite, and over a plug-in's entries by
`closedloop contracts --plugin FILE [--methods a,b] [--tasks a,b]`, or in a clone by
`pytest bench/contracts.py --plugin FILE`.
"""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(
    "closedloop.bench.method_contracts", "closedloop.bench.task_contracts"
)

from closedloop.bench.method_contracts import *  # noqa: E402, F403 - after the registration
from closedloop.bench.method_contracts import Case  # noqa: E402
from closedloop.bench.registry import load_registry  # noqa: E402
from closedloop.bench.task_contracts import *  # noqa: E402, F403
from closedloop.bench.task_contracts import Posed  # noqa: E402


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One case per method and example options; one per task."""
    option = metafunc.config.getoption
    registry = load_registry(option("plugin", default=None) or ())
    if registry.broken:
        raise pytest.UsageError("; ".join(f"{k}: {v}" for k, v in registry.broken.items()))
    for fixture, kind, pose in (("case", "method", Case), ("posed", "task", Posed)):
        if fixture in metafunc.fixturenames:
            table = registry.methods if kind == "method" else registry.tasks
            names = option(f"{kind}s", default=None) or sorted(table)
            found = getattr(registry, kind)
            cases = [pose(registry, n, i) for n in names for i in range(len(found(n).examples))]
            metafunc.parametrize(fixture, cases, ids=str)
