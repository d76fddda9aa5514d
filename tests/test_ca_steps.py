"""Cellular automata: rules, rows and forms, against plain Python and known patterns."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from closedloop.bench.data import batch_hash
from closedloop.tasks.ca_steps import PAD, SEP, STEP, CASteps, life, rule_110
from closedloop.tasks.task import scored_share


def plain_110(state: list[int]) -> list[int]:
    """The rule's number, bit by bit."""
    wide = len(state)
    codes = [4 * state[c - 1] + 2 * state[c] + state[(c + 1) % wide] for c in range(wide)]
    return [110 >> code & 1 for code in codes]


def plain_life(state: list[int]) -> list[int]:
    """Live neighbours counted one by one on a torus."""
    side = round(len(state) ** 0.5)
    after = []
    for place in range(len(state)):
        row, column = divmod(place, side)
        near = sum(
            state[(row + r) % side * side + (column + c) % side]
            for r in (-1, 0, 1)
            for c in (-1, 0, 1)
            if (r, c) != (0, 0)
        )
        after.append(int(near == 3 or (near == 2 and state[place] == 1)))
    return after


def states(rule: str, state: list[int], steps: int) -> list[list[int]]:
    """States 0 … steps."""
    found = [state]
    for _ in range(steps):
        found.append((plain_110 if rule == "110" else plain_life)(found[-1]))
    return found


def cells_of(text: str) -> list[int]:
    return [int(mark == "#") for mark in text if mark in ".#"]


def written(cells: list[int], steps: int, most: int) -> list[int]:
    return [PAD] * (most - steps) + [STEP] * steps + cells


def answered(task: CASteps, row: list[int]) -> list[int]:
    if task.layout == "copy":
        row = [*row, SEP, *row]
    return task.label(torch.tensor([row]))[0].tolist()[-task.width :]


SIZES = st.one_of(
    st.tuples(st.just("110"), st.integers(6, 70), st.integers(1, 40)),
    st.tuples(st.just("life"), st.sampled_from([16, 25, 36, 64, 144]), st.integers(1, 12)),
)


@settings(deadline=None, max_examples=30)
@given(
    size=SIZES,
    seed=st.integers(0, 2**31),
    split=st.sampled_from(["train", "validation", "test"]),
    layout=st.sampled_from(["place", "copy"]),
)
def test_rows_spell_their_steps_and_answers_are_the_states_after_them(
    size, seed, split, layout
) -> None:
    rule, width, most = size
    task = CASteps(rule=rule, width=width, layout=layout)
    batch = task.sample(4, width + most, seed, split)
    assert batch.inputs.shape[1] == task.positions(width + most)
    for place, row in enumerate(batch.inputs.tolist()):
        if layout == "copy":
            assert row == [*row[: width + most], SEP, *row[: width + most]]
        head, cells = row[-width - most : -width], row[-width:]
        steps = int(batch.strata["steps"][place])
        assert head == [PAD] * (most - steps) + [STEP] * steps and set(cells) <= {0, 1}
        found = states(rule, cells, steps)
        assert batch.targets[place].tolist()[-width:] == found[-1]
        assert found[-1] not in found[-3:-1], "the row has stopped or blinks"
    scored = torch.arange(batch.inputs.shape[1]) >= batch.inputs.shape[1] - width
    assert torch.equal(batch.mask, scored.expand_as(batch.mask))
    assert int((batch.targets * ~batch.mask).sum()) == 0


@settings(deadline=None, max_examples=30)
@given(size=SIZES, layout=st.sampled_from(["place", "copy"]), data=st.data())
def test_labels_hold_for_any_cells_and_no_steps(size, layout, data) -> None:
    """Boards that the generator would redraw, and k = 0, among them."""
    rule, width, most = size
    cells = data.draw(st.lists(st.integers(0, 1), min_size=width, max_size=width))
    steps = data.draw(st.integers(0, most))
    task = CASteps(rule=rule, width=width, layout=layout)
    expected = states(rule, cells, steps)[-1]
    assert answered(task, written(cells, steps, most)) == expected


def test_every_row_of_a_batch_runs_its_own_steps() -> None:
    task = CASteps(width=11)
    cells = cells_of("#..#.###.#.")
    rows = torch.tensor([written(cells, steps, 9) for steps in (4, 0, 9, 4, 1, 8)])
    found = states("110", cells, 9)
    assert task.label(rows)[:, 9:].tolist() == [found[k] for k in (4, 0, 9, 4, 1, 8)]


def test_rule_110_grows_its_known_triangle() -> None:
    """From one cell, to the left: the published first lines."""
    lines = ["#", "##", "###", "##.#", "#####", "##...#", "###..##", "##.#.###"]
    state = torch.tensor([cells_of(f"{'#':.>12}")], dtype=torch.uint8)
    for line in lines:
        assert state[0].tolist() == cells_of(f"{line:.>12}")
        state = rule_110(state)


def test_rule_110_meets_every_neighbourhood() -> None:
    """111 → 0, 110 → 1, 101 → 1, 100 → 0, 011 → 1, 010 → 1, 001 → 1, 000 → 0."""
    for code, after in enumerate((0, 1, 1, 1, 0, 1, 1, 0)):
        ring = [code >> 2 & 1, code >> 1 & 1, code & 1, 0, 0, 0]
        assert int(rule_110(torch.tensor([ring], dtype=torch.uint8))[0, 1]) == after


BLINKER = """
......
..#...
..#...
..#...
......
......"""
TURNED = """
......
......
.###..
......
......
......"""
BLOCK = """
......
.##...
.##...
......
......
......"""
GLIDER = """
.#......
..#.....
###.....
........
........
........
........
........"""


@pytest.mark.parametrize("layout", ["place", "copy"])
def test_a_blinker_turns_and_a_block_stays(layout: str) -> None:
    task = CASteps(rule="life", width=36, layout=layout)
    for steps in range(6):
        turned = TURNED if steps % 2 else BLINKER
        assert answered(task, written(cells_of(BLINKER), steps, 6)) == cells_of(turned)
        assert answered(task, written(cells_of(BLOCK), steps, 6)) == cells_of(BLOCK)


def test_a_glider_walks_one_cell_in_four_steps_and_around_the_torus() -> None:
    task, board = CASteps(rule="life", width=64), torch.tensor(cells_of(GLIDER)).view(8, 8)
    for steps in (4, 8, 20, 32):
        moved = board.roll((steps // 4, steps // 4), (0, 1)).flatten().tolist()
        assert answered(task, written(cells_of(GLIDER), steps, 32)) == moved
    assert life(board.flatten()[None].to(torch.uint8))[0].tolist() == plain_life(cells_of(GLIDER))


@pytest.mark.parametrize("layout", ["place", "copy"])
@pytest.mark.parametrize("rule", ["110", "life"])
def test_labels_of_broken_rows_are_cells_and_do_not_raise(rule: str, layout: str) -> None:
    task = CASteps(rule=rule, width=16, layout=layout)
    for length in (1, 2, 15, 16, 17, 32, 33, 34, 35, 40, 41):
        rows = torch.randint(5, (20, length), generator=torch.Generator().manual_seed(length))
        for ids in (rows, rows.to(torch.uint8)):
            answers = task.label(ids)
            assert answers.shape == rows.shape and answers.dtype == ids.dtype
            assert set(answers.unique().tolist()) <= {0, 1}


def test_both_layouts_hold_the_same_rows() -> None:
    place = CASteps(rule="life", width=25)
    copy = place.form(True)
    assert isinstance(copy, CASteps) and copy.layout == "copy" and copy.causal
    assert not place.causal and place.form(False) == place and copy.form(False) == place
    one, two = (task.sample(50, 35, 4, "train") for task in (place, copy))
    assert torch.equal(two.inputs[:, :35], one.inputs)
    assert torch.equal(two.inputs[:, 36:], one.inputs)
    assert torch.equal(two.targets[:, 36:], one.targets)
    assert torch.equal(two.strata["steps"], one.strata["steps"])


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_every_number_of_steps_has_as_many_rows(split) -> None:
    batch = CASteps(rule="life", width=64).sample(700, 64 + 7, 0, split)
    assert batch.strata["steps"].bincount().tolist() == [0] + [100] * 7


def test_redrawn_rows_depend_on_their_number_alone() -> None:
    """On a 4 × 4 board, where one of ten survives sixteen steps, most rows are redrawn."""
    task = CASteps(rule="life", width=16)
    long, short = (task.sample(n, 32, 1, "test") for n in (5000, 37))
    assert torch.equal(long.inputs[:37], short.inputs)
    assert torch.equal(long.targets[:37], short.targets)


@pytest.mark.parametrize(("rule", "width"), [("110", 6), ("life", 25)])
def test_no_row_has_stopped_or_blinks_on_small_boards(rule: str, width: int) -> None:
    """A PAD for one STEP, or for two, gives other cells in every row."""
    task = CASteps(rule=rule, width=width)
    batch = task.sample(2000, width + 10, 0, "train").to("cpu")
    steps = batch.strata["steps"]
    for fewer in (1, 2):
        shorter = batch.inputs.clone()
        place = torch.arange(width + 10)
        shorter[place < (10 - steps + fewer)[:, None]] = PAD
        same = (task.label(shorter) == batch.targets).all(1)
        assert not bool(same[steps >= fewer].any())


def test_cells_are_fair_where_next_to_none_is_redrawn() -> None:
    batch = CASteps().sample(8000, 36, 1, "train")
    cells = batch.inputs[:, 4:].double()
    assert abs(float(cells.mean()) - 0.5) < 0.004  # 256,000 bits: a standard error of 0.001
    correlation = torch.corrcoef(cells.T) - torch.eye(32)
    assert float(correlation.abs().max()) < 0.06  # 8,000 rows: 0.011, over 496 pairs


@pytest.mark.parametrize("layout", ["place", "copy"])
def test_the_rule_of_one_step_less_is_the_state_before(layout: str) -> None:
    """And it never has a whole row right, since such rows are redrawn."""
    task = CASteps(width=16, layout=layout)
    batch = task.sample(300, 21, 0, "test").to("cpu")
    answers = task.rules()["state after k-1 steps"](batch.inputs)
    for row, steps, given_ in zip(
        batch.inputs.tolist(), batch.strata["steps"].tolist(), answers.tolist(), strict=True
    ):
        assert given_[-16:] == states("110", row[-16:], steps)[-2]
    assert not bool(((answers == batch.targets) | ~batch.mask).all(1).any())


def test_the_shortcut_is_the_strongest_rule() -> None:
    task = CASteps(rule="life", width=36)
    batch = task.sample(2000, 44, 0, "test").to("cpu")
    scores = [scored_share(task, batch, rule(batch.inputs)) for rule in task.rules().values()]
    # 2,000 rows of 36 cells that hang together: a standard error of about 0.004
    assert task.shortcut(44) == pytest.approx(max(scores), abs=0.02)
    assert task.chance(44) == 0.5


@pytest.mark.parametrize(
    ("options", "length", "told"),
    [
        ({}, 32, "at least 33, 32 cells and one step"),
        ({"layout": "copy"}, 32, "at least 33"),
        ({"rule": "life", "width": 16}, 33, "at most 32, 16 cells and 16 steps"),
    ],
)
def test_a_length_without_steps_or_with_too_many_is_told_in_one_line(options, length, told) -> None:
    with pytest.raises(ValueError, match=f"expected a length of {told}.*got {length}$"):
        CASteps(**options).sample(4, length, 0, "test")


def test_unknown_options_are_told_in_one_line() -> None:
    with pytest.raises(ValueError, match="Known: 110, life"):
        CASteps(rule="30")
    with pytest.raises(ValueError, match="Known: place, copy"):
        CASteps(layout="twice")
    for rule, width in (("110", 5), ("110", -1), ("life", 9), ("life", 32), ("life", -4)):
        with pytest.raises(ValueError, match=f"expected a width .*got {width}$"):
            CASteps(rule=rule, width=width)


@pytest.mark.parametrize("layout", ["place", "copy"])
def test_a_board_is_shown_as_a_board(layout: str) -> None:
    task = CASteps(rule="life", width=16, layout=layout)
    lines = task.show(task.sample(8, 18, 0, "test"), 3).splitlines()
    assert lines[0] == "before and after 2 steps" and [len(line) for line in lines[1:]] == [10] * 4
    before, after = (cells_of("".join(line[s] for line in lines[1:])) for s in (LEFT, RIGHT))
    assert states("life", before, 2)[-1] == after


LEFT, RIGHT = slice(0, 4), slice(6, 10)


def test_test_rows_are_frozen() -> None:
    """A change here is another test set: raise the version, and say so."""
    assert batch_hash(CASteps().sample(256, 44, 0, "test")) == FROZEN


FROZEN = "d4da0830f720baffdb63450cbd00910a19406571ad5de5b8f10f46f10034e41d"
