"""A campaign made by hand, for tests: no training, hostile names, failures, a trial not run."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from closedloop.bench.campaign import Campaign
from closedloop.bench.figures.figure import Drawing
from closedloop.bench.registry import Registry
from closedloop.bench.store import Store
from closedloop.bench.tables import Table
from closedloop.bench.trial import Record, Trial

EVIL = "<script>alert(1)</script>"
WORSE = "\u202e&<img src=x onerror=alert(2)>\"'$x$"
METHODS = {"gru": "gru", "eqt": "eqt", EVIL: "transformer", WORSE: "unheard-of"}
BUDGETS = (0, 1, 2, 4)


def trial(row: str, length: int, seed: int, method: str = "") -> Trial:
    return Trial(
        task="parity",
        task_version=1,
        task_options={},
        method=method or METHODS[row],
        method_version=1,
        method_options={"width": 8},
        length=length,
        test_lengths=(length, 2 * length),
        seed=seed,
        preset="made",
        preset_version=1,
        train={"batch": 4},
        evaluate={"rows": 10},
        variant=row,
    )


def record(asked: Trial) -> Record:
    """Half of the tokens are right at K = 0, more with every budget and seed."""
    budgets = BUDGETS if asked.method == "eqt" else (0,)
    metrics = [
        ["test", length, k, "all", 0, metric, 100, base + 5 * k + asked.seed]
        for length in asked.test_lengths
        for k in budgets
        for metric, base in (("token", 60), ("sequence", 20))
    ]
    flops = {str(k): 1000.0 * (1 + k) for k in budgets}
    costs = {"parameters": 12, "train_flops": 2e9, "answer_flops_per_token": flops}
    costs["trained_iterations"] = 2 if asked.method == "eqt" else 0
    told = {"sha256": f"hash-{asked.length}", "levels": {"chance": 0.5}, "rules": {"x": []}}
    data = {str(length): told for length in asked.test_lengths}
    where = {"device_name": "a device", "code": {"commit": "abcdef0123456789", "dirty": False}}
    return Record(
        trial=asked, status="ok", metrics=metrics, costs=costs, data=data, environment=where
    )


def campaign(folder: Path, trials: list[Trial], records: list[Record]) -> Campaign:
    remark = f"a remark on {WORSE}"
    ordered = sorted(trials, key=lambda asked: asked.name)
    return Campaign(Store(folder), "made", ordered, records, Registry(), (remark,))


def made_campaign(folder: Path) -> Campaign:
    """Four methods, two lengths, three seeds: two trials failed, one was never run."""
    trials = [trial(row, length, s) for row in METHODS for length in (8, 16) for s in range(3)]
    records = [record(asked) for asked in trials]
    lost = {"metrics": [], "costs": {}, "data": {}}
    records[0] = replace(records[0], status="oom", reason=f"memory {EVIL}", **lost)
    records[1] = replace(records[1], status="timeout", reason="over 60 s", **lost)
    return campaign(folder, trials, records[:-1])


def drawing() -> Drawing:
    figure = Figure(figsize=(2, 1))
    figure.subplots().plot([0, 1], [1, 3])
    return Drawing("a-figure", f"Title {EVIL}", "Caption", figure, pd.DataFrame({"x": [1, 2]}))


def table() -> Table:
    return Table("a-table", f"Title {EVIL}", pd.DataFrame({"method": [WORSE], "n": ["1"]}), ("N",))
