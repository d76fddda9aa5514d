"""Plans: what an id depends on, who shares which seed, and what is refused."""

from dataclasses import replace

import pytest

from closedloop.bench.errors import Misuse
from closedloop.bench.leaderboard import own_recipes
from closedloop.bench.plan import Request, plan
from closedloop.bench.preset import load_preset, preset_names
from closedloop.bench.registry import Registry
from closedloop.bench.seeds import data_seed, initial_seed, noise_seed
from closedloop.bench.trial import Trial, canonical
from closedloop.methods import VARIANTS


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


def test_a_task_may_train_on_a_range_of_lengths_it_can_fill() -> None:
    """Up to the trial's length; a trial without a range has the id it always had."""
    plain, ranged = trials(), trials(settings=["parity.train_from=3"])
    assert {t.trained_on for t in plain} == {(8,), (16,)}
    assert {t.trained_on for t in ranged} == {tuple(range(3, 9)), tuple(range(3, 17))}
    assert not {t.id for t in plain} & {t.id for t in ranged}
    assert "train_lengths" not in canonical({k: v for k, v in plain[0].to_dict().items() if v})
    assert Trial.from_dict(ranged[0].to_dict()).id == ranged[0].id
    found = trials(tasks=["mod_arith"], lengths=[9], settings=["mod_arith.train_from=2"])
    assert {t.trained_on for t in found} == {(3, 5, 7, 9)}


def test_a_task_that_the_preset_does_not_name_is_planned_at_lengths_it_can_fill() -> None:
    assert {t.length for t in trials(tasks=["sudoku"])} == set(Registry().task("sudoku").lengths)
    assert {t.length for t in trials(tasks=["even_pairs"])} == {8, 16}


def test_a_row_may_be_kept_to_some_tasks(tmp_path) -> None:
    text = VARIED + "[tasks.copy]\nlengths = [9]\n[only]\neqt-long = {copy = [9]}\n"
    places = {(t.row, t.task, t.length) for t in varied(tmp_path, text)}
    assert ("eqt-long", "copy", 9) in places and ("eqt-long", "parity", 8) not in places
    assert {("eqt", "copy", 9), ("eqt", "parity", 8)} <= places


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
        ({"methods": ["etq"]}, "no method 'etq'. Did you mean 'eqt'? Known: deep-thinking, "),
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
        ({"settings": ["evaluate.iterations=[8, 8]"]}, "without repeats, got [8, 8]"),
        ({"tasks": ["sudoku"], "lengths": [25]}, "task sudoku: expected a length of 16, 36 or 81"),
        ({"settings": ["parity.modulus=2.5"]}, "expected int for parity.modulus, got 2.5"),
        ({"settings": ["parity.train_from=0"]}, "parity.train_from as an integer of at least 1"),
        ({"settings": ["parity.lenghts=[8]"]}, "no option of parity 'lenghts'. Did you mean"),
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


VARIED = """
version = 1
seeds = 1
[sizes]
width = 8
[train]
rows = 64
epochs = 1
batch = 32
validation_rows = 32
learning_rate = 1e-3
weight_decay = 0.0
clip = 1.0
warmup = 0.0
[evaluate]
rows = 32
batch = 32
iterations = [0]
[tasks.parity]
lengths = [8]
[methods.eqt]
depth = 1
[methods.eqt-long]
of = "eqt"
iterations = 5
"""


def varied(tmp_path, text: str = VARIED, **options):
    path = tmp_path / "varied.toml"
    path.write_text(text)
    return plan(Request(preset=str(path), **options), Registry())


def test_a_variant_is_a_row_of_its_own_that_starts_where_its_method_starts(tmp_path) -> None:
    eqt, long = sorted(varied(tmp_path), key=lambda trial: trial.name)
    assert (eqt.row, long.row, long.method) == ("eqt", "eqt-long", "eqt")
    assert long.method_options == {**eqt.method_options, "iterations": 5}
    assert eqt.id != long.id and long.name == "parity-eqt-long-L8-s0"
    assert initial_seed(eqt) == initial_seed(long) and noise_seed(eqt) == noise_seed(long)


def test_set_reaches_a_variant_by_its_own_name(tmp_path) -> None:
    eqt, long = sorted(
        varied(tmp_path, settings=["eqt-long.gamma=2.0"]), key=lambda trial: trial.name
    )
    assert (eqt.method_options["gamma"], long.method_options["gamma"]) == (1.0, 2.0)


def test_every_variant_of_the_table_plans_by_its_name() -> None:
    for name, (method, options) in VARIANTS.items():
        trial = trials(methods=[name], seeds=1)[0]
        assert (trial.row, trial.method) == (name, method)
        assert options.items() <= trial.method_options.items()


def test_a_variant_may_not_take_a_name_or_build_on_nothing(tmp_path) -> None:
    with pytest.raises(Misuse, match="no method 'etq'"):
        varied(tmp_path, VARIED.replace('of = "eqt"', 'of = "etq"'))
    with pytest.raises(Misuse, match="taken"):
        varied(tmp_path, VARIED.replace("methods.eqt-long", "methods.gru"))


def test_a_preset_may_run_a_row_at_some_lengths_only(tmp_path) -> None:
    text = VARIED.replace("lengths = [8]", "lengths = [8, 16]") + "[only]\neqt-long = [16]\n"
    assert [t.name for t in varied(tmp_path, text)] == [
        "parity-eqt-L16-s0",
        "parity-eqt-L8-s0",
        "parity-eqt-long-L16-s0",
    ]
    assert len(varied(tmp_path, text, lengths=[8, 16])) == 4  # --lengths asks for all


def test_a_row_may_have_a_recipe_but_no_budget_of_its_own(tmp_path) -> None:
    text = VARIED + "[recipes.eqt-long]\nlearning_rate = 5e-4\n"
    rates = {trial.row: trial.train["learning_rate"] for trial in varied(tmp_path, text)}
    assert rates == {"eqt": 1e-3, "eqt-long": 5e-4}
    told = "learning_rate 0.001 (eqt), 0.0005 (eqt-long)"
    assert own_recipes(varied(tmp_path, text)) == told
    assert own_recipes(varied(tmp_path)) == ""
    asked = varied(tmp_path, text, settings=["train.learning_rate=2e-3"])
    assert {trial.train["learning_rate"] for trial in asked} == {2e-3}  # --set asks for all
    with pytest.raises(Misuse, match="no recipe option of eqt-long 'rows'"):
        varied(tmp_path, VARIED + "[recipes.eqt-long]\nrows = 128\n")


@pytest.mark.parametrize("table", ["[only]\n{} = [8]", "[recipes.{}]\nclip = 2.0"])
def test_a_misspelt_row_of_a_preset_is_refused(tmp_path, table: str) -> None:
    assert varied(tmp_path, VARIED + table.format("eqt-long"))
    with pytest.raises(Misuse, match="no method 'eqt-lnog'"):
        varied(tmp_path, VARIED + table.format("eqt-lnog"))


def test_a_variant_has_its_method_s_recipe(tmp_path) -> None:
    text = VARIED + "[recipes.eqt]\nclip = 2.0\n"
    assert {trial.train["clip"] for trial in varied(tmp_path, text)} == {2.0}


def test_a_plan_of_nothing_is_told_in_one_line(tmp_path) -> None:
    text = VARIED + "[only]\neqt = [16]\neqt-long = [32]\n"
    with pytest.raises(Misuse, match=r"nothing to run: .*'eqt-long': \[32\]"):
        varied(tmp_path, text)


def test_a_preset_may_test_a_row_at_its_trained_length_only(tmp_path) -> None:
    text = VARIED.replace("lengths = [8]", "lengths = [8]\nextrapolate = [32]")
    text = 'in_length = ["eqt-long"]\n' + text
    tested = {trial.row: trial.test_lengths for trial in varied(tmp_path, text)}
    assert tested == {"eqt": (8, 32), "eqt-long": (8,)}
