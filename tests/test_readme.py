"""The README: its plug-in, as a reader would copy it, and the names of what there is."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from closedloop.methods import METHODS, VARIANTS
from closedloop.tasks import TASKS
from closedloop.tasks import VARIANTS as TASK_VARIANTS

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("kind, name", [("methods", "bag"), ("tasks", "earlier")])
def test_the_plug_ins_of_the_readme_keep_the_contracts(tmp_path, kind: str, name: str) -> None:
    codes = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (code,) = (code for code in codes if f"# {name}.py" in code)
    plugin = tmp_path / f"{name}.py"
    plugin.write_text(code)
    words = ["contracts", "--plugin", str(plugin), f"--{kind}", name]
    words += ["--tasks", "parity"] if kind == "methods" else ["--methods", "gru"]
    command = [sys.executable, "-m", "closedloop.bench.cli", *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert " passed" in done.stdout


@pytest.mark.parametrize("name", [*METHODS, *VARIANTS, *TASKS, *TASK_VARIANTS])
def test_the_readme_names_every_entry(name: str) -> None:
    assert f"`{name}`" in (ROOT / "README.md").read_text()
