"""Plans: what an id depends on, who shares which seed, and what is refused."""

from dataclasses import replace

import pytest

from closedloop.bench.errors import Misuse
from closedloop.bench.plan import Request, load_preset, plan, preset_names
from closedloop.bench.registry import Registry
from closedloop.bench.seeds import data_seed, initial_seed, noise_seed
from closedloop.bench.trial import Trial, canonical


def trials(**options) -> list[Trial]:
    return plan(Request(**{"preset": "smoke", **options}), Registry())


def test_a_plan_is_the_product_of_its_axes_sorted_by_name() -> None:
    planned = trials(seeds=2)
    names = [trial.name for trial in planned]
    assert len(names) == 2 * 3 * 2 == len(set(names)) and names == sorted(names)
    assert len({trial.id for trial in planned}) == len(planned)


def test_an_id_is_the_hash_of_the_spec_and_survives_json() -> None:
    trial = trials()[0]
    again = Trial.from_dict(trial.to_dict())
    assert again == replace(trial, test_lengths=tuple(trial.test_lengths))
    assert again.id == trial.id and len(trial.id) == 16
    assert replace(trial, seed=5).id != trial.id
    assert canonical({"b": 1, "a": [1.5]}) == '{"a":[1.5],"b":1}'


def test_an_id_knows_every_option_default_or_not() -> None:
    base = {trial.name: trial.id for trial in trials(methods=["gru"])}
    same = {trial.name: trial.id for trial in trials(methods=["gru"], settings=["gru.depth=1"])}
    other = {trial.name: trial.id for trial in trials(methods=["gru"], settings=["gru.depth=2"])}
    assert base == same and not set(base.values()) & set(other.values())


def test_methods_share_the_data_of_a_seed_and_nothing_else() -> None:
    first, second = (
        next(t for t in trials(seeds=2) if t.method == m and t.seed == 0 and t.length == 8)
        for m in ("gru", "eqt")
    )
    assert data_seed(first) == data_seed(second)
    assert initial_seed(first) != initial_seed(second)
    assert len({data_seed(replace(first, seed=s, length=n)) for s in (0, 1) for n in (8, 16)}) == 4
    assert len({data_seed(first), initial_seed(first), noise_seed(first)}) == 3


def test_settings_reach_methods_tasks_and_the_protocol() -> None:
    settings = ["eqt.iterations=3", "eqt.placement=each", "train.epochs=1"]
    settings += ["parity.sampler=stratified", "evaluate.iterations=[0, 2]"]
    trial = next(t for t in trials(settings=settings) if t.method == "eqt")
    assert trial.method_options["iterations"] == 3
    assert trial.method_options["placement"] == "each"
    assert trial.task_options == {"sampler": "stratified"}
    assert trial.train["epochs"] == 1 and trial.evaluate["iterations"] == [0, 2]


def test_preset_sizes_go_to_the_methods_that_have_them() -> None:
    by_method = {trial.method: trial.method_options for trial in trials()}
    sizes = load_preset("smoke").sizes
    assert by_method["eqt"]["heads"] == sizes["heads"] and "heads" not in by_method["gru"]
    assert by_method["gru"]["width"] == sizes["width"]


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_plans(name: str) -> None:
    assert plan(Request(preset=name), Registry())


@pytest.mark.parametrize(
    "options, told",
    [
        ({"preset": "quik"}, "Did you mean 'quick'"),
        ({"methods": ["etq"]}, "no method 'etq'. Did you mean 'eqt'? Known: eqt, gru, transformer"),
        ({"tasks": ["party"]}, "no task 'party'. Did you mean 'parity'"),
        ({"settings": ["eqt.iteration=2"]}, "no option of eqt 'iteration'. Did you mean"),
        ({"settings": ["parity.sampler=fair"]}, "no sampler 'fair'. Known: natural, stratified"),
        ({"settings": ["eqt.iterations=many"]}, "expected int for eqt.iterations, got 'many'"),
        ({"settings": ["eqt.placement=nowhere"]}, "no placement 'nowhere'"),
        ({"settings": ["eqt.iterations"]}, "expected --set target.key=value"),
        ({"settings": ["gnu.width=2"]}, "no --set target 'gnu'. Did you mean 'gru'"),
        ({"settings": ["train.batch=0"]}, "expected train.batch ≥ 1, got 0"),
        ({"settings": ["train.batch=9999"]}, "expected train.batch ≤ train.rows"),
        ({"settings": ["evaluate.iterations=[-1]"]}, "integers ≥ 0"),
        ({"lengths": [0]}, "expected lengths of at least 1, got 0"),
        ({"seeds": 0}, "expected at least 1 seed, got 0"),
    ],
)
def test_bad_requests_are_told_in_one_line(options, told: str) -> None:
    with pytest.raises(Misuse) as caught:
        trials(**options)
    assert told in str(caught.value) and "\n" not in str(caught.value)


def test_a_preset_file_of_one_s_own(tmp_path) -> None:
    text = (load_preset.__globals__["PRESETS"] / "smoke.toml").read_text()
    path = tmp_path / "mine.toml"
    path.write_text(text.replace("seeds = 1", "seeds = 4"))
    assert {trial.preset for trial in trials(preset=str(path))} == {"mine"}
    path.write_text("seeds = [")
    with pytest.raises(Misuse, match="does not read"):
        trials(preset=str(path))
