"""From records to the leaderboard: frames, then Markdown, LaTeX, CSV or plain text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from tabulate import tabulate

from .registry import Registry
from .stats import Interval, seed_interval
from .store import write_whole
from .trial import DIVERGED, METRIC_COLUMNS, OK, Record, Trial

FORMATS = {"md": "github", "latex": "latex_booktabs", "csv": "", "text": "simple"}
SUFFIXES = {"md": "md", "latex": "tex", "csv": "csv"}

SHARES = {
    "token": "Token accuracy, %",
    "sequence": "Whole-sequence accuracy, %",
    "transition": "Transition accuracy, %",
}
PREFIX = "Solved prefix, tokens before the first error"


@dataclass(frozen=True)
class Table:
    """A frame of text cells with its title, and notes to stand under it."""

    name: str
    title: str
    frame: pd.DataFrame
    notes: tuple[str, ...] = ()

    def render(self, form: str) -> str:
        """The table as md, latex, csv or text."""
        if form == "csv":
            return self.frame.to_csv(index=False)
        aligned = ["left", *["right"] * (self.frame.shape[1] - 1)]
        body = tabulate(
            self.frame.astype(str).values.tolist(),
            headers=list(self.frame.columns),
            tablefmt=FORMATS[form],
            disable_numparse=True,
            colalign=aligned if len(self.frame) else None,
        )
        if form == "latex":
            return self._latex(body)
        notes = "\n".join(self.notes)
        head = f"**{self.title}**" if form == "md" else self.title
        return f"{head}\n\n{body}\n" + (f"\n{notes}\n" if notes else "")

    def _latex(self, body: str) -> str:
        caption = " ".join(f"{text}." for text in (self.title, *self.notes))
        for plain, escaped in (("\\", "/"), ("%", "\\%"), ("_", "\\_"), ("&", "\\&"), ("#", "\\#")):
            caption = caption.replace(plain, escaped)
        return (
            f"\\begin{{table}}\n\\centering\n{body}\n\\caption{{{caption}}}\n"
            f"\\label{{tab:{self.name}}}\n\\end{{table}}\n"
        )


def tidy(records: Iterable[Record], axes: Sequence[str] | None = ("all",)) -> pd.DataFrame:
    """One row a trial, split, length, budget, stratum and metric; `axes` None keeps all axes."""
    wanted = None if axes is None else set(axes)
    axis = METRIC_COLUMNS.index("axis")
    rows = []
    for record in records:
        if record.status != OK:
            continue
        trial = record.trial
        head = [trial.id, trial.task, trial.method, trial.length, trial.seed]
        rows += [head + row for row in record.metrics if wanted is None or row[axis] in wanted]
    columns = ["trial_id", "task", "method", "trained_length", "seed", *METRIC_COLUMNS]
    return pd.DataFrame(rows, columns=columns)


def leaderboard(
    trials: Sequence[Trial], records: Sequence[Record], registry: Registry
) -> list[Table]:
    """Every table of the leaderboard: accuracies by length, costs, and what did not finish."""
    frame = tidy(records)
    frame = frame[frame["length"] == frame["trained_length"]]
    tables = []
    for task in sorted({trial.task for trial in trials}):
        of_task = [trial for trial in trials if trial.task == task]
        seen = [record for record in records if record.trial.task == task]
        scores = frame[frame["task"] == task]
        for metric, title in SHARES.items():
            if metric in ("token", "sequence") or (scores["metric"] == metric).any():
                tables.append(
                    score_table(f"{task}-{metric}", title, metric, of_task, seen, scores, registry)
                )
        tables.append(
            score_table(f"{task}-prefix", PREFIX, "prefix", of_task, seen, scores, registry)
        )
        if (scores["iterations"] > 0).any():
            tables.append(refinement_table(task, scores, max(trial.length for trial in of_task)))
        tables.append(cost_table(task, of_task, seen))
    failures = [record for record in records if record.status not in (OK,)]
    if failures:
        tables.append(failure_table(failures))
    return tables


def score_table(
    name: str,
    title: str,
    metric: str,
    trials: Sequence[Trial],
    records: Sequence[Record],
    scores: pd.DataFrame,
    registry: Registry,
) -> Table:
    """Methods and budgets by lengths: mean over seeds with its 95 % interval."""
    lengths = sorted({trial.length for trial in trials})
    share = metric in SHARES
    scores = scores[scores["metric"] == metric]
    values = scores["sum"] / scores["n"] * (100 if share else 1)
    grouped = values.groupby([scores["method"], scores["iterations"], scores["length"]])
    cells: dict[Any, list[float]] = {key: list(group) for key, group in grouped}
    rows: list[list[Any]] = []
    for method in sorted({trial.method for trial in trials}):
        counts = standing(method, trials, records)
        for budget in sorted({k for m, k, _ in cells if m == method}) or [""]:
            texts = []
            for length in lengths:
                found = cells.get((method, budget, length), [])
                texts.append(cell(seed_interval(found, 0, 100 if share else length), share))
            rows.append([method, budget, *texts, counts])
    if metric == "token":
        rows += level_rows(trials, lengths, registry)
    columns = ["method", "K", *(f"L={length}" for length in lengths), "trials"]
    task = trials[0].task
    return Table(
        f"leaderboard-{name}",
        f"{task}: {title}",
        pd.DataFrame(rows, columns=columns),
        notes(trials),
    )


def notes(trials: Sequence[Trial]) -> tuple[str, ...]:
    """What a reader must know to read the numbers."""
    seeds = len({trial.seed for trial in trials})
    presets = ", ".join(sorted({trial.preset for trial in trials}))
    return (
        f"Mean over seeds [95 % t interval]; preset {presets}, {seeds} seed(s) planned; K is the "
        "iteration budget at test time; trials: with scores / planned",
    )


def standing(method: str, trials: Sequence[Trial], records: Sequence[Record]) -> str:
    """`in / planned` of a method."""
    planned = sum(trial.method == method for trial in trials)
    scored = sum(record.trial.method == method and record.status == OK for record in records)
    return f"{scored}/{planned}"


def level_rows(
    trials: Sequence[Trial], lengths: Sequence[int], registry: Registry
) -> list[list[str]]:
    """The task's own levels: chance and the strongest trivial rule."""
    try:
        task = registry.task(trials[0].task)(**trials[0].task_options)
    except ImportError:
        return []
    levels: list[tuple[str, Callable[[int], float]]] = [
        ("(shortcut)", task.shortcut),
        ("(chance)", task.chance),
    ]
    return [
        [name, "", *(f"{100 * level(length):.2f}" for length in lengths), ""]
        for name, level in levels
    ]


def cell(interval: Interval, share: bool) -> str:
    """`98.10 [97.02, 99.18]`, or `-` without a value."""
    if not interval.n:
        return "-"
    digits = 2 if share else 1
    text = f"{interval.mean:.{digits}f}"
    if interval.n < 2:
        return text
    return f"{text} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"


REFINEMENT = {
    "gained": ("wrong to right, %", 100, 2),
    "lost": ("right to wrong, %", 100, 2),
    "change": ("relative change", 1, 5),
    "settled": ("change < 1e-3, %", 100, 1),
    "used": ("iterations used", 1, 2),
    "energy": ("energy", 1, 4),
}


def refinement_table(task: str, scores: pd.DataFrame, length: int) -> Table:
    """What the iterations did at one length: answers flipped since K = 0, movement, energy."""
    iterating = scores.loc[scores["iterations"] > 0, "method"].unique()
    picked = scores[(scores["length"] == length) & scores["method"].isin(iterating)]
    sums = picked.groupby(["method", "iterations", "metric"])[["n", "sum"]].sum()
    means: dict[Any, float] = (sums["sum"] / sums["n"]).to_dict()
    rows = []
    for method, budget in sorted({(method, budget) for method, budget, _ in means}):
        texts = [
            f"{scale * means[method, budget, metric]:.{digits}f}"
            if (method, budget, metric) in means
            else "-"
            for metric, (_, scale, digits) in REFINEMENT.items()
        ]
        rows.append([method, budget, *texts])
    columns = ["method", "K", *(title for title, _, _ in REFINEMENT.values())]
    frame = pd.DataFrame(rows, columns=columns)
    title = f"{task}: what the iterations did at L={length}"
    note = "Means over the test tokens of all seeds; flips count from the answers at K = 0"
    return Table(f"leaderboard-{task}-refinement", title, frame, (note,))


def cost_table(task: str, trials: Sequence[Trial], records: Sequence[Record]) -> Table:
    """Parameters, FLOPs and seconds at the longest length, a row for every budget."""
    longest = max(trial.length for trial in trials)
    scored = [r for r in records if r.status == OK and r.trial.length == longest]
    rows = []
    for method in sorted({record.trial.method for record in scored}):
        group = [record.costs for record in scored if record.trial.method == method]
        median = {
            name: pd.Series([costs[name] for costs in group]).median()
            for name in ("parameters", "train_flops", "train_seconds")
        }
        flops, seconds = group[0]["answer_flops_per_token"], timings(group)
        for budget in sorted(flops, key=int):
            rows.append(
                [
                    method,
                    budget,
                    f"{median['parameters']:,.0f}",
                    engineering(median["train_flops"]),
                    engineering(flops[budget]),
                    f"{median['train_seconds']:.1f}",
                    f"{1e6 * seconds[budget]:.2f}",
                ]
            )
    columns = [
        "method",
        "K",
        "parameters",
        "training FLOPs",
        "FLOPs/token",
        "training s",
        "us/token",
    ]
    return Table(
        f"leaderboard-{task}-costs",
        f"{task}: costs at L={longest}",
        pd.DataFrame(rows, columns=columns),
        (f"FLOPs counted, not estimated; seconds are medians over seeds, {places(scored)}",),
    )


def timings(group: Sequence) -> dict[str, float]:
    """Median seconds per token by budget."""
    frame = pd.DataFrame([costs["answer_seconds_per_token"] for costs in group])
    return {str(budget): float(value) for budget, value in frame.median().items()}


def places(records: Sequence[Record]) -> str:
    """Where the seconds were taken, and whether the device was shared."""
    seen = {
        (r.environment["device_name"], r.environment["threads"], r.environment["jobs"])
        for r in records
    }
    return "; ".join(
        f"{name}, {threads} thread(s), {jobs} trial(s) at once"
        for name, threads, jobs in sorted(seen)
    )


def engineering(value: float) -> str:
    """`1.23 G`: three digits and a power of a thousand."""
    for power, unit in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= power:
            return f"{value / power:.3g} {unit}"
    return f"{value:.3g}"


def failure_table(records: Sequence[Record]) -> Table:
    """Every trial without scores, with the first line of its reason."""
    rows = [
        [r.trial.name, r.status, next(iter(r.reason.splitlines()), "")[:160]]
        for r in sorted(records, key=lambda r: r.trial.name)
    ]
    title = f"Trials without scores ({sum(r.status == DIVERGED for r in records)} diverged)"
    return Table("failures", title, pd.DataFrame(rows, columns=["trial", "status", "reason"]))


def write_tables(tables: Sequence[Table], folder: Path, stem: str) -> list[Path]:
    """Write all tables as one Markdown and one LaTeX file, and a CSV file each."""
    written = []
    for form in ("md", "latex"):
        path = folder / f"{stem}.{SUFFIXES[form]}"
        write_text(path, "\n".join(table.render(form) for table in tables))
        written.append(path)
    for table in tables:
        path = folder / f"{stem}-{table.name}.csv"
        write_text(path, table.render("csv"))
        written.append(path)
    return written


def write_text(path: Path, text: str) -> None:
    """Write a text file whole."""
    write_whole(path, lambda file: file.write(text.encode()))
