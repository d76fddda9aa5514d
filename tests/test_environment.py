"""What a record tells of the code that made it."""

import subprocess

from closedloop.bench.environment import code_version


def test_results_in_the_making_do_not_make_the_code_dirty(tmp_path) -> None:
    def git(*words: str) -> None:
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        subprocess.run(["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True)

    file = tmp_path / "bench" / "environment.py"
    (tmp_path / "results" / "reference").mkdir(parents=True)
    file.parent.mkdir()
    file.write_text("")
    git("init")
    git("add", ".")
    git("commit", "-m", "first")
    (tmp_path / "results" / "reference" / "record.json").write_text("{}")
    assert code_version(file)["dirty"] is False
    (tmp_path / "bench" / "new.py").write_text("")
    code_version.cache_clear()
    assert code_version(file)["dirty"] is True
    code_version.cache_clear()
