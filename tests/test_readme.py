"""The README's plug-in, as a reader would copy it."""

import re
import subprocess
import sys
from pathlib import Path

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
