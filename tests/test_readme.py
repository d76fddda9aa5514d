"""The README: its plug-in, as a reader would copy it, and the names of what there is."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from closedloop.methods import METHODS, VARIANTS
from closedloop.tasks import TASKS

ROOT = Path(__file__).parents[1]


def test_the_plug_in_of_the_readme_keeps_the_contracts(tmp_path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    plugin = tmp_path / "bag.py"
    plugin.write_text(code)
    words = ["contracts", "--plugin", str(plugin), "--methods", "bag"]
    command = [sys.executable, "-m", "closedloop.bench.cli", *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert " passed" in done.stdout


@pytest.mark.parametrize("name", [*METHODS, *VARIANTS, *TASKS])
def test_the_readme_names_every_entry(name: str) -> None:
    assert f"`{name}`" in (ROOT / "README.md").read_text()
