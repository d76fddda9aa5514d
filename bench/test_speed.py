"""`closedloop speed`, or `pytest bench/test_speed.py`: a benchmark a line, peers in every round."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from closedloop.bench.environment import resolve_device
from closedloop.bench.errors import Misuse
from closedloop.bench.speed import LINES
from closedloop.bench.speed.line import Where, run_side
from closedloop.bench.speed.report import load

pytest.importorskip("pytest_benchmark", reason='pip install -e ".[speed]"')


@pytest.fixture(scope="session")
def where(request: pytest.FixtureRequest) -> Where:
    """The device and the threads that the options name."""
    option = request.config.option
    torch.set_num_threads(option.threads)
    return Where(torch.device(resolve_device(option.device)), option.threads)


@pytest.mark.parametrize("name", LINES)
def test_speed(name: str, where: Where, benchmark: Any) -> None:
    """Every round runs the peers, timed here, and then ours, timed by pytest-benchmark."""
    line = load(name)
    try:
        ours, *peers = line.prepare(where)
    except Misuse as error:
        pytest.skip(str(error))
    values: dict[str, list[float]] = {side.name: [] for side in (ours, *peers)}

    def others() -> None:
        for side in peers:
            values[side.name].append(run_side(side, where.device))

    def mine() -> None:
        values[ours.name].append(run_side(ours, where.device))

    benchmark.pedantic(mine, setup=others, rounds=line.rounds, warmup_rounds=line.warm)
    benchmark.extra_info["line"] = name
    benchmark.extra_info["threads"] = where.threads
    benchmark.extra_info["torch"] = torch.__version__.partition("+")[0]
    benchmark.extra_info["device"] = str(where.device)
    benchmark.extra_info["values"] = {side: each[line.warm :] for side, each in values.items()}
    assert all(len(each) == line.warm + line.rounds for each in values.values())
