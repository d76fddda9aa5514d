"""Exported frames come back as they were, and say what their columns mean."""

from __future__ import annotations

import importlib.util
import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from closedloop.bench.cli import main
from closedloop.bench.errors import Misuse
from closedloop.bench.exchange import COLUMNS, columns_table, export, read_export
from closedloop.bench.index import TRIAL_COLUMNS, indexed, trials_frame
from closedloop.bench.store import Store
from closedloop.bench.trial import Record, read_record

REFERENCE = Path(__file__).parents[1] / "results" / "reference"
SUFFIXES = ["csv", "parquet"]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A folder with scores, a sum that is null, a failure, and names that are awkward."""
    store = Store(tmp_path / "results")
    path = min(REFERENCE.glob("tour/trials/*/*.json"), key=lambda path: path.stat().st_size)
    real = read_record(path.read_text(encoding="utf-8"))
    store.save(real)
    odd = replace(real.trial, seed=7, method='<script>"a,b"\n</script>', task_variant="NA")
    store.save(replace(real, trial=odd, metrics=[["test", 8, 0, "all", 0, "nats", 5, math.inf]]))
    store.save(Record(trial=replace(odd, seed=8), status="oom", reason="no, memory\nleft"))
    return store


def widened(frame: pd.DataFrame) -> pd.DataFrame:
    """Integers of 64 bits, as a file has them."""
    narrow = [name for name in frame if frame[name].dtype == "int32"]
    return frame.astype(dict.fromkeys(narrow, "int64"))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("make", [indexed, trials_frame])
def test_an_exported_frame_reads_back_as_it_was(
    make, suffix: str, store: Store, tmp_path: Path
) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    frame, path = make(store), tmp_path / f"out.{suffix}"
    assert len(frame) and frame.isna().any().any()
    export(frame, path)
    pd.testing.assert_frame_equal(read_export(path), widened(frame))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("make", [indexed, trials_frame])
def test_an_empty_frame_reads_back_with_its_columns(make, suffix: str, tmp_path: Path) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    frame, path = make(Store(tmp_path)), tmp_path / f"out.{suffix}"
    export(frame, path)
    pd.testing.assert_frame_equal(read_export(path), widened(frame))


words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(st.tuples(words, st.integers(-(2**53), 2**53), st.floats(allow_infinity=False)))
)
def test_any_text_and_number_survives_a_csv_file(
    rows: list[tuple[str, int, float]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("csv") / "out.csv"
    frame = pd.DataFrame(rows, columns=["method", "seed", "sum"])
    export(frame, path)
    found = read_export(path)
    assert found["method"].tolist() == frame["method"].tolist()
    assert found["seed"].tolist() == frame["seed"].tolist()
    assert [repr(value) for value in found["sum"]] == [repr(float(v)) for v in frame["sum"]]


def test_every_column_has_a_meaning_and_stands_in_a_frame(store: Store) -> None:
    assert set(COLUMNS) == {*indexed(store).columns, *TRIAL_COLUMNS}
    table = columns_table().frame
    assert list(table["column"]) == list(COLUMNS) and all(table["meaning"].str.len() > 5)


def test_a_column_without_a_meaning_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="no column 'tsak'. Did you mean 'task'"):
        export(pd.DataFrame({"tsak": ["a"]}), tmp_path / "out.csv")
    (tmp_path / "other.csv").write_text("tsak\na\n")
    with pytest.raises(Misuse, match="no column 'tsak'"):
        read_export(tmp_path / "other.csv")


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("a.csv", b""),
        ("a.csv", b"seed\nx\n"),
        ("a.csv", b"\xff\xfe"),
        ("a.parquet", b"PAR1"),
        ("missing.csv", None),
    ],
)
def test_a_file_that_was_not_exported_is_told_in_a_line(
    name: str, body: bytes | None, tmp_path: Path
) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    if body is not None:
        (tmp_path / name).write_bytes(body)
    with pytest.raises(Misuse) as raised:
        read_export(tmp_path / name)
    assert "\n" not in str(raised.value) and name in str(raised.value) or "column" in str(raised)


def test_a_suffix_says_the_form(store: Store, tmp_path: Path) -> None:
    with pytest.raises(Misuse, match=r"expected a file named \*.csv or \*.parquet, got 'out.xls'"):
        export(indexed(store), tmp_path / "out.xls")


def test_without_pyarrow_parquet_is_refused_in_a_line(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "pyarrow" else find(name)
    )
    with pytest.raises(Misuse, match=r"install closedloop\[parquet\]"):
        export(indexed(store), tmp_path / "out.parquet")
    export(indexed(store), tmp_path / "out.csv")


def test_a_path_that_cannot_be_written_is_told_in_a_line(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Misuse, match="cannot write .*Choose another --out"):
        export(indexed(store), tmp_path / "file" / "out.csv")


@pytest.mark.parametrize("what", ["scores", "trials"])
def test_the_command_exports_a_folder(
    what: str, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.csv"
    words = ["export", "--results", str(store.folder), "--what", what, "--out", str(out)]
    (store.path("0" * 16).parent).mkdir(parents=True, exist_ok=True)
    store.path("0" * 16).write_text("{")
    assert main(words) == 0
    told = capsys.readouterr()
    wanted = {"scores": indexed, "trials": trials_frame}[what](store)
    assert len(read_export(out)) == len(wanted) and f"{len(wanted)} rows" in told.out
    assert "0000000000000000.json is left out" in told.err


def test_the_command_says_what_the_columns_mean(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--columns"]) == 0
    assert "trained_length" in capsys.readouterr().out
    assert main(["export"]) == 4
    assert "expected --out FILE" in capsys.readouterr().err
