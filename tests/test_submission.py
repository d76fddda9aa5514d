"""Records that others hand in: the schema holds them, contradictions are told, nothing is run."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from closedloop.bench import submission
from closedloop.bench.cli import main
from closedloop.bench.errors import Misuse
from closedloop.bench.record_schema import faults, schema_text
from closedloop.bench.scanning import migrated
from closedloop.bench.store import Store
from closedloop.bench.submission import import_records
from closedloop.bench.trial import FAILURES, SCHEMA, STATUSES, Record, Trial, read_record

REFERENCE = Path(__file__).parents[1] / "results" / "reference"
SHIPPED = sorted(REFERENCE.glob("*/trials/*/*.json"), key=lambda path: path.stat().st_size)
SCHEMA_TREE = json.loads(schema_text())


def some_record() -> dict[str, Any]:
    """A small record with every field filled, in the present schema."""
    body = migrated(json.loads(SHIPPED[0].read_text(encoding="utf-8")))
    record = read_record(json.dumps(body))
    length = str(record.trial.length)
    filled = replace(
        record,
        trial=replace(record.trial, variant="mine", train_lengths=(record.trial.length,)),
        metrics=record.metrics[:60],
        curves={"loss": [1.0, None]},
        traces={length: {"change": {"1": [[3, 5]]}}},
        rows="0" * 64,
    )
    return json.loads(filled.to_json())


BODY = some_record()
RECORD = read_record(json.dumps(BODY))


def put(folder: Path, body: Any, name: str = "some.json") -> Path:
    """The body as a file of a folder."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(body if isinstance(body, str) else json.dumps(body))
    return folder


def changed(**changes: Any) -> dict[str, Any]:
    """BODY with the fields of a Record changed, its id made anew."""
    return json.loads(replace(RECORD, rows="", **changes).to_json())


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


# ---- the schema ------------------------------------------------------------------------------


def test_the_schema_is_one_of_draft_2020_12() -> None:
    Draft202012Validator.check_schema(SCHEMA_TREE)
    assert SCHEMA_TREE["properties"]["schema"]["const"] == SCHEMA
    assert SCHEMA_TREE["properties"]["status"]["enum"] == list(STATUSES)


def test_schema_and_dataclasses_name_the_same_fields() -> None:
    top, trial = SCHEMA_TREE["properties"], SCHEMA_TREE["$defs"]["trial"]["properties"]
    assert set(top) == {"trial_id", *(field.name for field in fields(Record))}
    assert set(trial) == {field.name for field in fields(Trial)}
    assert set(SCHEMA_TREE["required"]) == set(top)
    assert set(trial) - set(SCHEMA_TREE["$defs"]["trial"]["required"]) == {
        "variant",
        "train_lengths",
        "task_variant",
    }


def test_every_property_is_described() -> None:
    def lacking(node: Any, path: str) -> Iterator[str]:
        for name, found in node.get("properties", {}).items():
            target = found.get("$ref", "").removeprefix("#/$defs/")
            known = {**SCHEMA_TREE["$defs"].get(target, {}), **found}
            if "description" not in known and path not in ("evaluate", "code"):
                if not name.endswith("_version"):
                    yield f"{path}/{name}"
            yield from lacking(found, name)

    roots = {"": SCHEMA_TREE, **SCHEMA_TREE["$defs"]}
    assert [line for name, root in roots.items() for line in lacking(root, name)] == []


@pytest.mark.parametrize("path", SHIPPED[:: len(SHIPPED) // 12], ids=lambda path: path.stem)
def test_a_shipped_record_is_valid(path: Path) -> None:
    """One in so many, the longest too; what they are made of is checked for all below."""
    assert list(faults(migrated(json.loads(path.read_text(encoding="utf-8"))))) == []


def test_every_shipped_record_is_valid_but_for_its_long_lists() -> None:
    """Metrics and curves, of which the sample above has thousands, are cut to be quick."""
    assert len(SHIPPED) > 100
    for path in SHIPPED:
        body = migrated(json.loads(path.read_text(encoding="utf-8")))
        body["metrics"], body["curves"] = body["metrics"][:3], {}
        assert list(faults(body)) == [], path


@pytest.mark.parametrize("status", [*FAILURES, "diverged", "unsupported"])
def test_a_record_without_scores_is_valid(status: str) -> None:
    bare = Record(
        trial=RECORD.trial, status=status, reason="why\nso", environment=RECORD.environment
    )
    assert list(faults(json.loads(bare.to_json()))) == []


def test_a_record_with_every_field_filled_is_valid() -> None:
    assert list(faults(BODY)) == []


REQUIRED = [(name,) for name in SCHEMA_TREE["required"]]
REQUIRED += [("trial", name) for name in SCHEMA_TREE["$defs"]["trial"]["required"]]
REQUIRED += [("data", str(RECORD.trial.length), name) for name in ("sha256", "overlap", "rows")]


@pytest.mark.parametrize("place", REQUIRED, ids="/".join)
@pytest.mark.parametrize("change", ["removed", "mistyped"])
def test_a_required_property_that_is_removed_or_mistyped_is_refused(
    place: tuple[str, ...], change: str
) -> None:
    body = copy.deepcopy(BODY)
    inner = body
    for name in place[:-1]:
        inner = inner[name]
    if change == "removed":
        del inner[place[-1]]
    else:
        inner[place[-1]] = None
    first, *_ = faults(body)
    assert first.startswith("at ") and ": expected " in first and "\n" not in first
    assert place[-1] in first


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("further",), 1),
        (("trial", "further"), 1),
        (("trial", "seed"), -1),
        (("trial", "seed"), "0"),
        (("trial", "test_lengths"), []),
        (("trial_id",), "../../etc/passwd"),
        (("weights",), "abc"),
        (("status",), "fine"),
        (("metrics", 0, 6), -1),
        (("metrics", 0, 6), 1.5),
        (("metrics", 0, 7), "1"),
        (("metrics", 0), ["test", 8, 0]),
        (("costs", "parameters"), -3),
        (("costs", "train_seconds"), "long"),
        (("environment", "jobs"), "two"),
        (("curves", "loss"), ["x"]),
        (("traces", "8"), 3),
        (("data", "eight"), {}),
    ],
    ids=str,
)
def test_a_value_that_makes_no_sense_is_refused(place: tuple[Any, ...], value: Any) -> None:
    body = copy.deepcopy(BODY)
    inner = body
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    (line,) = list(faults(body))[:1]
    assert ": expected " in line and "\n" not in line and len(line) < 300


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == SCHEMA_TREE


# ---- importing -------------------------------------------------------------------------------


def test_valid_records_are_copied_whole_and_once(tmp_path: Path, store: Store) -> None:
    source = put(tmp_path / "source", json.dumps(changed(), indent=3))
    done = import_records(source, store)
    assert done.added == (RECORD.trial.id,) and not (done.refused or done.present or done.remarks)
    assert store.path(RECORD.trial.id).read_bytes() == (source / "some.json").read_bytes()
    again = import_records(source / "some.json", store)
    assert again.present == done.added and again.added == ()


def test_records_of_a_results_folder_bring_their_outcomes_by_row(
    tmp_path: Path, store: Store
) -> None:
    source = Store(tmp_path / "source")
    own = source.save_rows(RECORD.trial.id, {"8/scored": np.array([1, 2])})
    source.save(replace(RECORD, rows=own))
    other = replace(RECORD, trial=replace(RECORD.trial, seed=50), rows="1" * 64)
    source.save(other)
    done = import_records(source.folder, store)
    assert set(done.added) == {RECORD.trial.id, other.trial.id}
    (remark,) = done.remarks
    assert other.trial.id in remark
    loaded = store.load(RECORD.trial.id)
    assert loaded is not None and list(store.load_rows(loaded)) == ["8/scored"]


def test_older_records_are_read_as_they_are(tmp_path: Path, store: Store) -> None:
    text = SHIPPED[0].read_text(encoding="utf-8")
    done = import_records(put(tmp_path / "source", text), store)
    assert done.added == (SHIPPED[0].stem,)
    assert store.path(SHIPPED[0].stem).read_text(encoding="utf-8") == text


def test_the_same_result_from_another_machine_is_there_already(
    tmp_path: Path, store: Store
) -> None:
    store.save(RECORD)
    before = store.path(RECORD.trial.id).read_bytes()
    costs = {**RECORD.costs, "train_seconds": 1.0}
    done = import_records(put(tmp_path / "source", changed(costs=costs, environment={})), store)
    assert done.present == (RECORD.trial.id,)
    assert store.path(RECORD.trial.id).read_bytes() == before


def test_another_result_of_the_same_trial_is_refused(tmp_path: Path, store: Store) -> None:
    store.save(RECORD)
    metrics = [[*place, max(total - 1, 0)] for *place, total in RECORD.metrics]
    done = import_records(put(tmp_path / "source", changed(metrics=metrics)), store)
    (line,) = done.refused
    assert line.startswith("some.json: expected the result that") and "another metrics" in line


def first_row(**changes: Any) -> list[list[Any]]:
    """Metrics whose first row is that of all tokens, with other values."""
    columns = ["split", "length", "iterations", "axis", "stratum", "metric", "n", "sum"]
    row = dict(zip(columns, ["test", RECORD.trial.length, 0, "all", 0, "token", 8, 4], strict=True))
    return [list({**row, **changes}.values())]


CONTRADICTIONS = {
    "a share above one": (first_row(sum=9), "expected a sum of 0 to 8"),
    "a share below nought": (first_row(sum=-1), "expected a sum of 0 to 8"),
    "a share that is not finite": (first_row(sum=None), "expected a sum of 0 to 8"),
    "a place twice": (first_row() + first_row(), "once, found it twice"),
    "a length that was not asked": (first_row(length=999), "expected a length among"),
    "a budget that was not asked": (first_row(iterations=999), "expected iterations among"),
    "an axis without all": (first_row(axis="band"), "expected axis all beside"),
    "more in the parts than in all": (
        first_row() + first_row(axis="band", n=5) + first_row(axis="band", stratum=1, n=4),
        "expected n of at most 8",
    ),
    "more hits in the parts than in all": (
        first_row() + first_row(axis="band", n=8, sum=5),
        "expected a sum of at most 4",
    ),
    "no metrics at all": ([], "expected metrics of status ok"),
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_metrics_that_cannot_be_true_are_refused(case: str, tmp_path: Path, store: Store) -> None:
    metrics, told = CONTRADICTIONS[case]
    done = import_records(put(tmp_path / "source", changed(metrics=metrics)), store)
    (line,) = done.refused
    assert told in line and line.startswith("some.json: ") and "\n" not in line
    assert not list(store.records())


def test_a_failure_has_no_metrics(tmp_path: Path, store: Store) -> None:
    done = import_records(put(tmp_path / "source", changed(status="oom")), store)
    assert "expected no metrics of status oom" in done.refused[0]


def broken(edit: Callable[[dict[str, Any]], Any]) -> str:
    body = changed()
    edit(body)
    return json.dumps(body)


REFUSED = {
    "a wrong id": (broken(lambda b: b.update(trial_id="0" * 16)), "the hash of its trial"),
    "another option": (broken(lambda b: b["trial"].update(seed=99)), "the hash of its trial"),
    "a further key": (broken(lambda b: b.update(further=1)), "expected none but"),
    "no status": (broken(lambda b: b.pop("status")), "expected status, found none"),
    "an unknown status": (broken(lambda b: b.update(status="<b>")), "expected enum"),
    "a float for an integer": (broken(lambda b: b["trial"].update(seed=1.0)), "expected int"),
    "a newer schema": (broken(lambda b: b.update(schema=SCHEMA + 1)), "newer closedloop"),
    "no schema": (broken(lambda b: b.pop("schema")), "an integer schema"),
    "no object": ("[1, 2]", "expected a JSON object"),
    "no JSON": ("import os", "expected a record, got JSONDecodeError"),
    "a number that is none": ('{"schema": NaN}', "expected a record, got JSONDecodeError"),
    "brackets without end": ("[" * 100_000, "expected a record, got JSONDecodeError"),
    "nothing": ("", "expected a record, got JSONDecodeError"),
    "a pickle": ("\x80\x04cos\nsystem\n", "expected a record, got JSONDecodeError"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_is_no_valid_record_is_refused_in_a_line(
    case: str, tmp_path: Path, store: Store
) -> None:
    text, told = REFUSED[case]
    source = put(tmp_path / "source", text, name="bad.json")
    put(source, changed(), name="good.json")
    done = import_records(source, store)
    (line,) = done.refused
    assert told in line and line.startswith("bad.json: ") and "\n" not in line and len(line) < 500
    assert done.added == (RECORD.trial.id,)


def test_a_file_that_is_far_too_large_is_not_read(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submission, "LARGEST", 100)
    done = import_records(put(tmp_path / "source", changed()), store)
    assert "expected at most 100 bytes" in done.refused[0]


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "../../x", "é\n\x1b[31m", "x" * 9000]
)
def test_a_name_stays_the_text_that_it_is(name: str, tmp_path: Path, store: Store) -> None:
    trial = replace(RECORD.trial, variant=name, task_variant=name)
    done = import_records(put(tmp_path / "source", changed(trial=trial)), store)
    assert done.added == (trial.id,)
    loaded = store.load(trial.id)
    assert loaded is not None and loaded.trial.row == name == loaded.trial.question


def test_a_source_that_holds_no_record_is_told(tmp_path: Path, store: Store) -> None:
    with pytest.raises(Misuse, match="expected a record file or a folder"):
        import_records(tmp_path / "missing", store)
    (tmp_path / "empty").mkdir()
    with pytest.raises(Misuse, match="no record files in"):
        import_records(tmp_path / "empty", store)
    assert not store.folder.exists()


def test_the_command_tells_what_was_taken(
    tmp_path: Path, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    source = put(tmp_path / "source", changed())
    words = ["import", str(source), "--results", str(store.folder)]
    assert main(words) == 0 and "1 record(s) added" in capsys.readouterr().out
    put(source, "{", name="bad.json")
    assert main(words) == 1
    told = capsys.readouterr()
    assert "refused bad.json: " in told.err and "1 there already, 1 refused" in told.out
