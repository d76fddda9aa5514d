"""`pytest bench/` under accidents: bad input, broken plug-ins, torn records, kills, two at once."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).parents[1] / "bench"
LIMIT = 120

PRESET = """
version = 1
seeds = 1
[sizes]
width = 16
depth = 1
heads = 2
[train]
rows = 64
epochs = 1
batch = 32
validation_rows = 32
learning_rate = 1e-3
weight_decay = 0.01
clip = 1.0
warmup = 0.0
[evaluate]
rows = 32
batch = 32
iterations = [0, 1]
[tasks.parity]
lengths = [8]
[methods.gru]
"""

PLUGIN = """
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from torch import nn
from closedloop.methods.method import OpenLoop

HOLD, PIDS = Path({folder!r}) / "hold", Path({folder!r}) / "pids"

class Plain(OpenLoop):
    @dataclass(frozen=True, kw_only=True)
    class Config:
        width: int = 8

    family = "test"

    def __init__(self, config, sizes):
        super().__init__(config, sizes)
        self.embedding = nn.Embedding(sizes.vocab, config.width)
        self.head = nn.Linear(config.width, sizes.classes)
        self.calls = 0

    def forward(self, inputs):
        self.calls += self.training
        return self.act(self.head(self.embedding(inputs)))

class Raises(Plain):
    def act(self, logits):
        raise RuntimeError("out of luck")

class Shape(Plain):
    def act(self, logits):
        return nn.functional.pad(logits, (0, 1))

class NaN(Plain):
    def act(self, logits):
        return logits * float("nan")

class Kill(Plain):
    def act(self, logits):
        os.kill(os.getpid(), signal.SIGKILL)

class Exit(Plain):
    def act(self, logits):
        print("leaving early", file=sys.stderr, flush=True)
        os._exit(3)

class Diverge(Plain):
    def act(self, logits):
        return logits * float("nan") if self.training and self.calls > 1 else logits

class Sleepy(Plain):
    def act(self, logits):
        time.sleep(6)
        return logits

class Held(Plain):
    def act(self, logits):
        if HOLD.exists():
            PIDS.mkdir(exist_ok=True)
            (PIDS / str(os.getpid())).touch()
        end = time.monotonic() + 90
        while HOLD.exists() and time.monotonic() < end:
            time.sleep(0.05)
        return logits

METHODS = {{
    "raises": Raises, "shape": Shape, "nan": NaN, "kill": Kill, "exit": Exit,
    "diverge": Diverge, "sleepy": Sleepy, "held": Held,
}}
"""


def hear_interrupts() -> None:
    """Undo what a shell does to its background jobs, which ignore ctrl-C and pass that on."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Bench:
    """`python -m pytest bench/` with a tiny preset, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.results = folder, folder / "results"
        (folder / "tiny.toml").write_text(PRESET)
        (folder / "odd.py").write_text(PLUGIN.format(folder=str(folder)))
        self.started: list[subprocess.Popen] = []

    def command(self, *words: str) -> list[str]:
        first = [sys.executable, "-m", "pytest", str(BENCH), "-p", "no:cacheprovider", "--jobs=2"]
        own = [f"--preset={self.folder / 'tiny.toml'}", f"--results={self.results}"]
        return [*first, *own, *words]

    def start(self, *words: str) -> subprocess.Popen:
        """Start a run in a process group of its own."""
        process = subprocess.Popen(
            self.command(*words),
            cwd=self.folder,
            env={**os.environ, "COLUMNS": "200"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=hear_interrupts,
        )
        self.started.append(process)
        return process

    def run(self, *words: str) -> tuple[int, str]:
        """Exit code and output of a run."""
        process = self.start(*words)
        output, _ = process.communicate(timeout=LIMIT)
        return process.returncode, output

    def odd(self, methods: str, *words: str) -> list[str]:
        """Options that ask for methods of the odd plug-in."""
        return [f"--plugin={self.folder / 'odd.py'}", f"--methods={methods}", *words]

    def paths(self) -> list[Path]:
        """The record files."""
        return sorted(self.results.glob("trials/*/*.json"))

    def records(self) -> dict[str, dict[str, Any]]:
        """The records by method and seed, as `gru-0`."""
        bodies = [json.loads(path.read_text()) for path in self.paths()]
        return {f"{b['trial']['method']}-{b['trial']['seed']}": b for b in bodies}

    def path_of(self, name: str) -> Path:
        """The file of a record, by method and seed."""
        trial_id = self.records()[name]["trial_id"]
        return next(path for path in self.paths() if path.stem == trial_id)

    def statuses(self) -> dict[str, str]:
        return {name: record["status"] for name, record in self.records().items()}

    def hold(self) -> None:
        """Let the method `held` wait."""
        (self.folder / "hold").touch()

    def release(self) -> None:
        (self.folder / "hold").unlink(missing_ok=True)

    def held(self) -> list[int]:
        """The processes that `held` ever waited in."""
        return [int(path.name) for path in self.folder.glob("pids/*")]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    found = Bench(tmp_path)
    yield found
    found.release()
    for process in found.started:
        if process.poll() is None:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def eventually(check: Callable[[], Any], seconds: float = 60.0) -> bool:
    """Whether a check comes true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if check():
            return True
        time.sleep(0.1)
    return bool(check())


def group(leader: int) -> list[str]:
    """The living processes of a process group, zombies left out."""
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,pgid=,stat=,args="], capture_output=True, text=True, check=True
    )
    rows = [line.split(None, 3) for line in listed.stdout.splitlines()]
    return [" ".join(row) for row in rows if row[1] == str(leader) and not row[2].startswith("Z")]


def last_line(output: str) -> str:
    return output.strip().splitlines()[-1]


# ---- bad input -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--methods=etq", ["no method 'etq'", "Did you mean 'eqt'", "Known: ", "gru"]),
        ("--tasks=partiy", ["no task 'partiy'", "Did you mean 'parity'", "Known: "]),
        ("--preset=smok", ["no preset 'smok'", "Did you mean 'smoke'", "Known: "]),
        ("--set=gru.widht=3", ["option of gru", "'widht'", "Did you mean 'width'", "Known: "]),
        ("--set=gur.width=3", ["--set target", "'gur'", "Did you mean 'gru'", "Known: "]),
        ("--set=gru.width=wide", ["gru.width", "expected int", "'wide'"]),
        ("--set=gru", ["expected --set target.key=value", "'gru'"]),
        ("--set=train.rows=0", ["train.rows", "expected", "0"]),
        ("--lengths=0", ["expected lengths of at least 1", "0"]),
        ("--lengths=eight", ["expected --lengths as integers", "eight"]),
        ("--seeds=0", ["expected at least 1 seed", "0"]),
        ("--plugin=missing.py", ["no plug-in file", "missing.py", "expected"]),
        ("--results={folder}/tiny.toml/results", ["cannot write", "tiny.toml", "--results"]),
    ],
)
def test_bad_input_is_one_line_with_what_is_known_and_nothing_is_written(
    words: str, told: list[str], bench: Bench
) -> None:
    before = sorted(bench.folder.rglob("*"))
    code, output = bench.run(words.format(folder=bench.folder))
    assert code == 4, output
    lines = [line for line in output.splitlines() if all(text in line for text in told)]
    assert len(lines) == 1, output
    assert "Traceback" not in output and "INTERNALERROR" not in output
    assert sorted(bench.folder.rglob("*")) == before


# ---- broken methods --------------------------------------------------------------------------


def test_a_plug_in_that_does_not_import_fails_alone(bench: Bench) -> None:
    path = bench.folder / "broken.py"
    path.write_text('raise RuntimeError("no such luck")\n')
    code, output = bench.run(f"--plugin={path}", "--methods=broken,gru")
    assert code == 1, output
    records = bench.records()
    assert bench.statuses() == {"broken-0": "error", "gru-0": "ok"}
    first = records["broken-0"]["reason"].splitlines()[0]
    assert "no such luck" in first and "broken.py" in first
    assert "no such luck" in output and "Token accuracy" in output
    assert "1 failed" in last_line(output) and "1 passed" in last_line(output)


def test_each_broken_method_is_a_record_with_its_reason_and_the_others_run(bench: Bench) -> None:
    code, output = bench.run(*bench.odd("raises,shape,nan,kill,exit,gru"))
    assert code == 1, output
    assert bench.statuses() == {
        "raises-0": "error",
        "shape-0": "error",
        "nan-0": "error",
        "kill-0": "crash",
        "exit-0": "crash",
        "gru-0": "ok",
    }
    reasons = {name: record["reason"] for name, record in bench.records().items()}
    assert reasons["raises-0"].startswith("RuntimeError: out of luck")
    assert "odd.py" in reasons["raises-0"]  # the place in the plug-in's own file
    assert "shape (32, 8, 2), got (32, 8, 3)" in reasons["shape-0"]
    assert "finite" in reasons["nan-0"].splitlines()[0]
    assert "SIGKILL" in reasons["kill-0"]
    assert "exit code 3" in reasons["exit-0"] and "leaving early" in reasons["exit-0"]
    assert reasons["gru-0"] == ""
    assert "Token accuracy" in output and "Trials without scores" in output
    assert "5 failed" in last_line(output) and "1 passed" in last_line(output)
    assert re.search(r"1 of 6 planned trials have scores", output)
    assert list((bench.results / "tables").glob("*.md"))
    for name in ("raises-0", "kill-0"):
        assert "odd.py" in json.dumps(bench.records()[name]["environment"]["plugins"]), name


def test_a_failed_trial_is_not_run_again_unless_asked(bench: Bench) -> None:
    words = bench.odd("held,raises,gru")
    assert bench.run(*words)[0] == 1
    before = {path.name: path.stat().st_mtime_ns for path in bench.paths()}
    failed = bench.path_of("raises-0").name
    code, output = bench.run(*words)
    assert code == 1 and "2 cached" in last_line(output) and "1 failed" in last_line(output)
    assert {path.name: path.stat().st_mtime_ns for path in bench.paths()} == before
    code, _ = bench.run(*words, "--rerun=failed")
    after = {path.name: path.stat().st_mtime_ns for path in bench.paths()}
    assert code == 1
    assert {name for name in after if after[name] != before[name]} == {failed}


def test_a_method_that_raises_fails_alone_in_one_process_too(bench: Bench) -> None:
    code, output = bench.run(*bench.odd("gru,nan,raises,shape", "--executor=inline"))
    assert code == 1, output
    assert bench.statuses() == {
        "gru-0": "ok",
        "nan-0": "error",
        "raises-0": "error",
        "shape-0": "error",
    }
    assert "Token accuracy" in output


def test_a_diverged_training_is_a_result_and_is_shown_as_diverged(bench: Bench) -> None:
    code, output = bench.run(*bench.odd("diverge,gru"))
    assert code == 0, output
    assert bench.statuses() == {"diverge-0": "diverged", "gru-0": "ok"}
    assert "step 2 of 2" in bench.records()["diverge-0"]["reason"]
    assert "1 diverged" in last_line(output) and "1 passed" in last_line(output)


def test_a_trial_over_its_wall_limit_is_a_timeout_and_the_others_run(bench: Bench) -> None:
    code, output = bench.run(*bench.odd("sleepy,gru", "--trial-timeout=8"))
    assert code == 1, output
    assert bench.statuses() == {"sleepy-0": "timeout", "gru-0": "ok"}
    reason = bench.records()["sleepy-0"]["reason"]
    assert "after 8 s" in reason and "train" in reason
    assert "timeout" in output


def test_a_trial_that_hangs_in_a_step_is_killed_after_its_limit_and_the_others_run(
    bench: Bench,
) -> None:
    bench.hold()
    code, output = bench.run(*bench.odd("held,gru", "--trial-timeout=8"))
    assert code == 1, output
    assert bench.statuses() == {"held-0": "timeout", "gru-0": "ok"}
    assert "killed" in bench.records()["held-0"]["reason"]


# ---- records ---------------------------------------------------------------------------------


def test_unreadable_records_are_set_aside_by_name_and_their_trials_run_again(bench: Bench) -> None:
    assert bench.run("--seeds=3")[0] == 0
    names = ("gru-0", "gru-1", "gru-2")
    corrupt, half, good = (bench.path_of(name) for name in names)
    corrupt.write_text("no record at all")
    half.write_bytes(half.read_bytes()[:200])
    before = good.stat().st_mtime_ns
    code, output = bench.run("--seeds=3")
    assert code == 0, output
    aside = sorted(path.name.partition(".")[0] for path in (bench.results / "aside").iterdir())
    assert aside == sorted([corrupt.stem, half.stem])
    for path in (corrupt, half):
        assert any("set aside" in line and path.stem in line for line in output.splitlines())
    assert bench.statuses() == dict.fromkeys(names, "ok")
    assert good.stat().st_mtime_ns == before
    assert "2 passed" in last_line(output) and "1 cached" in last_line(output)


@pytest.mark.parametrize("executor", ["local", "inline"])
def test_a_newer_schema_is_refused_in_one_line_and_left_alone(executor: str, bench: Bench) -> None:
    assert bench.run()[0] == 0
    path = bench.path_of("gru-0")
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 999}))
    before = path.read_bytes()
    code, output = bench.run(f"--executor={executor}")
    assert code == 4, output
    assert len([line for line in output.splitlines() if "schema 999" in line]) == 1, output
    assert "Traceback" not in output and "INTERNALERROR" not in output
    assert path.read_bytes() == before


def test_a_finished_sweep_asked_again_runs_nothing(bench: Bench) -> None:
    assert bench.run("--seeds=2")[0] == 0
    before = {path: path.stat().st_mtime_ns for path in bench.paths()}
    code, output = bench.run("--seeds=2")
    assert code == 0, output
    assert "2 cached" in last_line(output) and "passed" not in last_line(output)
    assert {path: path.stat().st_mtime_ns for path in bench.paths()} == before
    assert "Token accuracy" in output


FULL = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
sys.argv = {argv!r}
runpy.run_module("pytest", run_name="__main__", alter_sys=True)
"""


def under_limit(bench: Bench, limit: int, *words: str) -> subprocess.CompletedProcess:
    """A run that can write no file longer than `limit` bytes: what a full disk looks like."""
    argv = ["pytest", *bench.command(*words)[3:]]
    return subprocess.run(
        [sys.executable, "-c", FULL.format(limit=limit, argv=argv)],
        cwd=bench.folder,
        env={**os.environ, "COLUMNS": "200"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT,
    )


def test_a_disk_too_full_for_a_record_fails_the_trial_with_the_reason(bench: Bench) -> None:
    pytest.importorskip("resource")
    done = under_limit(bench, 3000, "--executor=local")
    assert done.returncode == 1, done.stdout
    assert "File too large" in done.stdout, done.stdout
    assert "INTERNALERROR" not in done.stdout, done.stdout
    assert not list(bench.results.rglob(".*.json.*"))


def test_a_disk_too_full_for_the_tables_loses_no_result(bench: Bench) -> None:
    pytest.importorskip("resource")
    assert bench.run()[0] == 0
    before = bench.path_of("gru-0").read_bytes()
    done = under_limit(bench, 600)
    assert bench.path_of("gru-0").read_bytes() == before
    assert "Token accuracy" in done.stdout and "1 cached" in last_line(done.stdout), done.stdout
    assert "INTERNALERROR" not in done.stdout and "Traceback" not in done.stdout, done.stdout


# ---- kills and company -----------------------------------------------------------------------


def start_held(bench: Bench) -> subprocess.Popen:
    """A run in which gru has finished and `held` is in its first step."""
    bench.hold()
    process = bench.start(*bench.odd("gru,held"))
    started = eventually(lambda: bench.paths() and bench.held() or process.poll() is not None)
    assert started and process.poll() is None, process.communicate()[0]
    assert bench.statuses() == {"gru-0": "ok"}
    return process


def finish(bench: Bench, before: bytes) -> None:
    """Run again: what was done stays, the rest is done."""
    bench.release()
    code, output = bench.run(*bench.odd("gru,held"))
    assert code == 0, output
    assert bench.statuses() == {"gru-0": "ok", "held-0": "ok"}
    assert "1 cached" in last_line(output) and "1 passed" in last_line(output)
    assert bench.path_of("gru-0").read_bytes() == before


def test_children_end_with_a_killed_parent_and_a_second_run_completes(bench: Bench) -> None:
    process = start_held(bench)
    before = bench.path_of("gru-0").read_bytes()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert eventually(lambda: not group(process.pid), 15), group(process.pid)
    assert bench.statuses() == {"gru-0": "ok"}
    finish(bench, before)


@pytest.mark.parametrize("send", [os.kill, os.killpg], ids=["to-the-parent", "to-all"])
def test_ctrl_c_keeps_what_is_finished_and_leaves_no_orphan(
    send: Callable[[int, int], None], bench: Bench
) -> None:
    process = start_held(bench)
    before = bench.path_of("gru-0").read_bytes()
    send(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 2, output
    assert eventually(lambda: not group(process.pid), 15), group(process.pid)
    assert "Token accuracy" in output and "1 of 2 planned trials have scores" in output
    assert "INTERNALERROR" not in output
    assert bench.statuses() == {"gru-0": "ok"}
    finish(bench, before)


def test_two_runs_at_once_share_the_trials_and_each_has_one_record(bench: Bench) -> None:
    runs = [bench.start("--seeds=3") for _ in range(2)]
    outputs = [run.communicate(timeout=LIMIT)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], "\n".join(outputs)
    assert bench.statuses() == {"gru-0": "ok", "gru-1": "ok", "gru-2": "ok"}
    assert len(bench.paths()) == 3
    for output in outputs:
        assert "3 of 3 planned trials have scores" in output


def test_a_trial_that_another_run_holds_is_waited_for_and_not_run_twice(bench: Bench) -> None:
    first = start_held(bench)
    second = bench.start(*bench.odd("gru,held"))
    time.sleep(6)
    assert first.poll() is None and second.poll() is None
    bench.release()
    outputs = [run.communicate(timeout=LIMIT)[0] for run in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], "\n".join(outputs)
    assert len(bench.held()) == 1  # one process trained it
    assert bench.statuses() == {"gru-0": "ok", "held-0": "ok"}
