"""LaTeX as it is written: escapes, cuts, parts, labels; the shipped tables compile and fit."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from closedloop.bench.campaign import open_campaign
from closedloop.bench.cutting import flat, shortened
from closedloop.bench.escaping import escaped, slug
from closedloop.bench.leaderboard import leaderboard
from closedloop.bench.sheets.compute import compute_tables
from closedloop.bench.sheets.failures import failure_tables
from closedloop.bench.sheets.main import main_tables
from closedloop.bench.sheets.pairs import pair_tables
from closedloop.bench.tables import Table, write_tables

REFERENCE = Path(__file__).parents[1] / "results" / "reference"


def compiled(tables: Sequence[Table], folder: Path, packages: str = "booktabs,graphicx") -> str:
    """pdflatex's log of these tables in one document, which must compile."""
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed")
    body = "\n\\clearpage\n".join(table.render("latex") for table in tables)
    head = f"\\documentclass{{article}}\\usepackage{{{packages}}}\\begin{{document}}"
    (folder / "t.tex").write_text(f"{head}\n{body}\n\\end{{document}}\n")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True)
    log = done.stdout.decode(errors="replace")
    assert done.returncode == 0, log[-2000:]
    return log


def wide(columns: int, rows: int = 2, text: str = "100.00 [100.00, 100.00]") -> Table:
    """A table of equal cells under a column of names."""
    names = [f"L={place}" for place in range(columns)]
    body = [[f"row {number}", *[text] * columns] for number in range(rows)]
    return Table("wide", "Wide", pd.DataFrame(body, columns=["method", *names]), ("A note",))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a & b_c 50 % #1 $x {y}", r"a \& b\_c 50 \% \#1 \$x \{y\}"),
        ("~ ^ \\", r"\textasciitilde{} \textasciicircum{} \textbackslash{}"),
        ("a<b>c|d", "a$<$b$>$c$|$d"),
        ("≥ 90 × Δ γ² ± …", r"$\geq$ 90 $\times$ $\Delta$ $\gamma$$^2$ $\pm$ \ldots{}"),
        ("-1.5 [-2, +3]", "$-$1.5 [$-$2, +3]"),
        ("ttt-linear-b1, 1e-3", "ttt-linear-b1, 1e-3"),
        ("a--b", "a-{}-b"),
        ("é ñ ž", r"\'{e} \~{n} \v{z}"),
        ("中", "U+4E2D"),
        ("two\nlines\t here\u202e", "two lines here"),
    ],
)
def test_text_is_escaped(text: str, wanted: str) -> None:
    assert escaped(text) == wanted


def test_a_text_that_is_too_long_keeps_both_ends() -> None:
    assert shortened("abcdefghij", 10) == "abcdefghij"
    assert shortened("abcdefghijk", 10) == "abcdef…ijk"
    assert flat(" a \n b ") == "a b"


def test_names_that_differ_stay_apart_in_labels_and_files() -> None:
    assert slug("leaderboard-parity_2") == "leaderboard-parity_2"
    found = {slug(name) for name in ("a b", "a/b", "a&b", "../b")}
    assert len(found) == 4 and all(re.fullmatch("[A-Za-z0-9-]+", name) for name in found)


def test_a_narrow_table_is_one_float_of_booktabs_alone(tmp_path: Path) -> None:
    text = wide(2).render("latex")
    assert text.startswith("% \\usepackage{booktabs}\n") and text.count("\\begin{table}") == 1
    assert "\\caption[{Wide}]{Wide. A note.}\n\\label{tab:wide}" in text
    assert "Overfull" not in compiled([wide(2)], tmp_path, packages="booktabs")


def test_a_wide_table_is_split_and_repeats_its_first_column(tmp_path: Path) -> None:
    text = wide(12).render("latex")
    parts = text.count("\\begin{table}")
    assert parts > 1 and text.count("{}method &") == parts
    assert text.count("A note") == 1 and text.count("Notes under part 1") == parts - 1
    labels = re.findall(r"\\label\{(.*?)\}", text)
    assert labels == ["tab:wide", *(f"tab:wide-{part}" for part in range(2, parts + 1))]
    for place in range(12):
        assert len(re.findall(rf"L={place}\b", text)) == 1
    assert "Overfull" not in compiled([wide(12)], tmp_path)


def test_a_long_table_is_split_with_every_row_once(tmp_path: Path) -> None:
    table = replace(wide(1, rows=200), notes=("All that a reader must know. " * 30,))
    text = table.render("latex")
    assert text.count("\\begin{table}") >= 200 / 45
    assert all(len(re.findall(rf"row {number} &", text)) == 1 for number in range(200))
    log = compiled([table] * 3, tmp_path)  # further floats than LaTeX holds back at once
    assert "Float too large" not in log


def test_a_long_reason_is_set_as_a_paragraph(tmp_path: Path) -> None:
    reason = "ValueError: expected logits of shape (8, 16, 2), got (8, 16, 3) " * 2
    frame = pd.DataFrame([["parity-eqt-L8-s0", "error", reason]], columns=["a", "b", "c"])
    table = Table("failures", "Failures", frame)
    assert "\\parbox[t]" in table.render("latex")
    assert "Overfull" not in compiled([table], tmp_path)


def test_a_table_without_rows_compiles(tmp_path: Path) -> None:
    log = compiled([Table("none", "None", pd.DataFrame(columns=["method", "K"]))], tmp_path)
    assert "Output written" in log and "Overfull" not in log


def test_written_tables_compile_as_they_are(tmp_path: Path) -> None:
    """Two tables of one file stay apart, and names of files hold no slash."""
    frame = pd.DataFrame([["[a", "*b"], ["[c", "-1"]], columns=["[head", "* head"])
    tables = [Table("../one", "One", frame), Table("two", "Two", frame)]
    written = write_tables(tables, tmp_path, "all")
    assert [path.parent for path in written] == [tmp_path] * 4
    assert written[2].name.startswith("all----one-")
    compiled(tables, tmp_path)


@pytest.mark.parametrize("name", ["anchors", "tour"])
def test_the_shipped_results_compile_and_fit_their_page(name: str, tmp_path: Path) -> None:
    made = open_campaign(REFERENCE / name)
    makers = (main_tables, pair_tables, compute_tables, failure_tables)
    tables = [table for maker in makers for table in maker(made, "transformer")]
    if name == "anchors":
        tables += leaderboard(made.trials, made.records, made.registry)
    log = compiled(tables, tmp_path)
    assert "Overfull" not in log and "Float too large" not in log
    assert "multiply" not in log
