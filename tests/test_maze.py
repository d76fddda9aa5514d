"""Maze: trees drawn as a plain depth-first search draws them, paths, bins, splits and rules."""

import collections
import itertools
import math
import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from closedloop.bench.data import batch_hash
from closedloop.tasks.maze import Maze, drawn, path_bins, tried
from closedloop.tasks.maze_grids import carved, distances, grids, picked, rerooted, walked
from closedloop.tasks.task import SPLITS

Grid = list[int]


# ---- a plain reference -----------------------------------------------------------------------


def beside(side: int, place: int) -> list[int]:
    """Places above, below, left and right."""
    row, column = divmod(place, side)
    steps = ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1))
    return [r * side + c for r, c in steps if 0 <= r < side and 0 <= c < side]


def steps_from(grid: Grid, sources: list[int]) -> dict[int, int]:
    """Breadth-first search over what is open."""
    side, steps, queue = (
        math.isqrt(len(grid)),
        dict.fromkeys(sources, 0),
        collections.deque(sources),
    )
    while queue:
        place = queue.popleft()
        for near in beside(side, place):
            if grid[near] in (1, 2, 3) and near not in steps:
                steps[near] = steps[place] + 1
                queue.append(near)
    return steps


def on_shortest(grid: Grid) -> Grid:
    """1 on every shortest path from an S to a G."""
    starts, goals = ([p for p, token in enumerate(grid) if token == end] for end in (2, 3))
    there, back = steps_from(grid, starts), steps_from(grid, goals)
    least = min((there[p] + back[p] for p in there if p in back), default=None)
    both = there.keys() & back.keys()
    return [int(p in both and there[p] + back[p] == least) for p in range(len(grid))]


def plain_maze(c: int, draw: random.Random) -> set[frozenset[int]]:
    """Openings between cells of a depth-first maze."""
    stack = [draw.randrange(c * c)]
    seen, openings = set(stack), set()
    while stack:
        new = [cell for cell in beside(c, stack[-1]) if cell not in seen]
        if not new:
            stack.pop()
            continue
        openings.add(frozenset((stack[-1], new[(pick := draw.randrange(len(new)))])))
        seen.add(new[pick])
        stack.append(new[pick])
    return openings


# ---- rows ------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=15)
@given(
    c=st.integers(3, 6),
    seed=st.integers(0, 2**31),
    split=st.sampled_from(SPLITS),
    layout=st.sampled_from(["place", "copy"]),
)
def test_mazes_are_trees_and_their_answer_the_one_path(c, seed, split, layout) -> None:
    """2c² − 1 open places, all reached, are a tree: there is one path."""
    length, task = (2 * c + 1) ** 2, Maze(layout=layout)
    batch = task.sample(6, length, seed, split)
    assert batch.inputs.shape[1] == task.positions(length)
    shown, asked = batch.inputs[:, :length], batch.inputs[:, -length:]
    assert torch.equal(shown, asked)
    assert torch.equal(batch.mask[:, -length:], asked > 0)
    assert int(batch.mask.sum()) == 6 * (2 * c * c - 1)
    for grid, target in zip(shown.tolist(), batch.targets[:, -length:].tolist(), strict=True):
        assert grid.count(2) == grid.count(3) == 1
        assert len(steps_from(grid, [grid.index(2)])) == 2 * c * c - 1
        assert all(p // (2 * c + 1) % 2 or p % (2 * c + 1) % 2 for p in range(length) if grid[p])
        assert target == on_shortest(grid)


@settings(deadline=None, max_examples=60)
@given(side=st.sampled_from([5, 7, 9]), density=st.floats(0.2, 0.95), seed=st.integers(0, 2**31))
def test_labels_hold_on_grids_with_loops_and_without_ends(side, density, seed) -> None:
    draw = random.Random(seed)
    grid = [int(draw.random() < density) for _ in range(side * side)]
    for place in draw.sample(range(side * side), draw.randint(0, 3)):
        grid[place] = draw.choice((2, 3, 4))
    assert Maze().label(torch.tensor([grid]))[0].tolist() == on_shortest(grid)
    row = [*grid, 4, *grid[::-1]]  # the second grid is not read
    label = Maze(layout="copy").label(torch.tensor([row]))[0].tolist()
    assert label == [0] * (side * side + 1) + on_shortest(grid)


def test_labels_are_of_the_inputs_shape_and_kind() -> None:
    batch = Maze().sample(4, 81, 0, "test")
    assert Maze().label(batch.inputs).dtype == batch.inputs.dtype
    assert Maze().label(batch.inputs[:0]).shape == (0, 81)
    assert torch.equal(Maze().label(batch.inputs.long()), batch.targets.long())


def test_mazes_are_drawn_as_by_a_plain_depth_first_search() -> None:
    """The openings between any two cells of 3×3 come up as often, and dead ends are as many."""
    towards = carved(4, torch.arange(8000), 3)
    pairs = torch.stack([torch.arange(9).expand_as(towards), towards], 2)
    pairs = pairs[pairs[:, :, 0] != pairs[:, :, 1]].sort(1).values
    found = collections.Counter(map(tuple, pairs.tolist()))
    draw = random.Random(0)
    mazes = [plain_maze(3, draw) for _ in range(8000)]
    plain = collections.Counter(tuple(sorted(pair)) for maze in mazes for pair in maze)
    assert found.keys() == plain.keys() and len(found) == 12
    for pair in plain:  # shares of 8,000: a difference has a standard error of 0.008
        assert abs(found[pair] - plain[pair]) / 8000 < 0.04
    degrees = collections.Counter(cell for maze in mazes for pair in maze for cell in pair)
    ours = collections.Counter(pairs.flatten().tolist())
    assert all(abs(ours[cell] - degrees[cell]) / 8000 < 0.06 for cell in range(9))
    trees = {frozenset(map(frozenset, row)) for row in pairs.view(8000, 8, 2).tolist()}
    assert trees == {frozenset(maze) for maze in mazes}
    assert len(trees) == 88  # of the 192 spanning trees, those that a depth-first search can draw


def test_the_four_mazes_of_2_by_2_are_equally_likely() -> None:
    on = torch.ones(8000, 4, dtype=torch.bool)
    drawn = grids(carved(1, torch.arange(8000), 2), on)
    counts = drawn.unique(dim=0, return_counts=True)[1].tolist()
    assert len(counts) == 4 and max(abs(n - 2000) for n in counts) < 200  # standard error 39


# ---- trees -----------------------------------------------------------------------------------


@pytest.mark.parametrize("c", [2, 3, 6])
def test_a_tree_turned_to_another_root_keeps_its_edges(c) -> None:
    rows = torch.arange(50)
    towards = carved(2, rows, c)
    root = (rows * 7) % (c * c)
    turned = rerooted(towards, root)
    cells = torch.arange(c * c).expand_as(towards)
    assert torch.equal(turned.gather(1, root[:, None])[:, 0], root)
    far, on = distances(turned), walked(turned, rows % (c * c))
    for row in range(50):
        before, after = (
            {frozenset(edge) for edge in zip(cells[row].tolist(), t[row].tolist(), strict=True)}
            for t in (towards, turned)
        )
        assert {e for e in before if len(e) == 2} == {e for e in after if len(e) == 2}
        here, way, start = row % (c * c), [], row % (c * c)
        while here != int(root[row]):
            way.append(here)
            here = int(turned[row, here])
        assert far[row, start] == len(way)
        assert on[row].nonzero().flatten().tolist() == sorted([*way, here])


def test_one_of_the_marked_columns_is_picked_evenly() -> None:
    among = torch.tensor([[True, False, True, True]]).expand(9000, -1)
    bits = (torch.arange(9000) << 32) // 9000 + 1
    assert picked(among, bits).bincount(minlength=4).tolist() == [3000, 0, 3000, 3000]
    assert picked(torch.zeros(1, 4, dtype=torch.bool), bits[:1]).tolist() == [0]


# ---- strata and splits -----------------------------------------------------------------------


def test_bins_that_hold_no_length_are_left_out() -> None:
    held = {c: [(b.start, b.stop) for b in path_bins(c) if b] for c in (2, 3, 4, 7)}
    assert held[2] == [(1, 2), (2, 4)] and held[3] == [(1, 3), (3, 6), (6, 9)]
    assert held[4] == [(1, 4), (4, 8), (8, 16)]
    assert held[7] == [(1, 7), (7, 14), (14, 28), (28, 49)]


@pytest.mark.parametrize(
    ("c", "split"), [(3, "train"), (3, "validation"), (4, "test"), (7, "train")]
)
def test_strata_are_filled_equally_and_told_rightly(c, split) -> None:
    batch = Maze().sample(200, (2 * c + 1) ** 2, 5, split)
    bins = path_bins(c)
    columns = (batch.inputs, batch.targets, batch.strata["path"], batch.strata["junctions"])
    for grid, on, path, junctions in zip(*(column.tolist() for column in columns), strict=True):
        assert steps_from(grid, [grid.index(2)])[grid.index(3)] // 2 in bins[path]
        forks = sum(
            sum(grid[near] > 0 for near in beside(2 * c + 1, place)) >= 3
            for place in range(len(grid))
            if on[place]
        )
        assert junctions == forks.bit_length()
    held = batch.strata["path"].bincount().tolist()
    assert len(held) == sum(map(bool, bins)) and max(held) - min(held) <= 1


def test_no_test_maze_is_met_in_training_with_other_ends_either() -> None:
    """Nor under other seeds; the splits divide all depth-first trees of a grid of 3×3 cells."""
    seen = {split: set() for split in SPLITS}
    for split, seed in itertools.product(SPLITS, (0, 1)):
        walls = Maze().sample(2000, 49, seed, split).inputs > 0
        seen[split] |= set(map(tuple, walls.tolist()))
    for one, other in itertools.combinations(SPLITS, 2):
        assert not seen[one] & seen[other]
    assert sum(map(len, seen.values())) == 88  # as 100,000 draws have them too


def test_a_row_that_does_not_fit_is_drawn_again_and_its_mates_stay() -> None:
    """A row is its first draw that fits, however many are drawn at once."""
    rows, low, high = torch.arange(300), torch.full((300,), 6), torch.full((300,), 9)
    _, on, found = tried(1, rows, low, high, 3)
    assert 0 < int(found.sum()) < 300
    assert bool(((on.sum(1)[found] // 2 >= 6) & (on.sum(1)[found] // 2 < 9)).all())
    together = drawn(1, rows, 49, "test")
    for row in (0, 7, 299):
        alone = drawn(1, rows[row : row + 1], 49, "test")
        assert all(torch.equal(a[0], b[row]) for a, b in zip(alone, together, strict=True))


@pytest.mark.parametrize("length", [49, 81])
def test_both_layouts_hold_the_same_mazes(length) -> None:
    place, copy = (Maze(layout=x).sample(20, length, 3, "test") for x in ("place", "copy"))
    assert torch.equal(copy.inputs[:, :length], place.inputs)
    assert torch.equal(copy.inputs[:, length + 1 :], place.inputs)
    assert bool((copy.inputs[:, length] == 4).all())
    assert torch.equal(copy.targets[:, length + 1 :], place.targets)
    assert not copy.mask[:, : length + 1].any()
    assert all(torch.equal(copy.strata[axis], place.strata[axis]) for axis in place.strata)


# ---- rules, sizes, frozen rows ---------------------------------------------------------------


@pytest.mark.parametrize("layout", ["place", "copy"])
def test_rules_answer_as_they_are_called(layout) -> None:
    task, c = Maze(layout=layout), 4
    batch = task.sample(40, 81, 0, "validation").to("cpu")
    rules = {name: rule(batch.inputs)[:, -81:] for name, rule in task.rules().items()}
    for row, grid in enumerate(batch.inputs[:, -81:].tolist()):
        ends = {grid.index(2), grid.index(3)}
        open = {place for place, token in enumerate(grid) if token}
        ways = {p for p in open if sum(grid[near] > 0 for near in beside(9, p)) > 1}
        named = {"ends alone": ends, "all open": open, "no dead ends": ways | ends}
        for name, places in named.items():
            assert set(rules[name][row].nonzero().flatten().tolist()) == places
    assert all(rule(batch.inputs).shape == batch.inputs.shape for rule in task.rules().values())
    # a path of d steps has 2d − 1 places between its ends, of 2c² − 1 open ones
    steps = batch.targets.sum(1) // 2
    right = (rules["ends alone"] == batch.targets[:, -81:])[batch.mask[:, -81:]].double().mean()
    assert float(right) == pytest.approx(
        1 - float((2 * steps - 1).double().mean()) / (2 * c * c - 1)
    )


@pytest.mark.parametrize("length", [49, 81])
def test_chance_is_the_best_that_reads_its_own_token(length) -> None:
    task = Maze()
    batch = task.sample(2048, length, 0, "test").to("cpu")
    best = sum(
        float(batch.targets[batch.inputs == token].bincount(minlength=2).max())
        for token in (1, 2, 3)
    )
    assert task.chance(length) == pytest.approx(best / float(batch.mask.sum()), abs=0.02)
    assert task.shortcut(length) >= task.chance(length)


@pytest.mark.parametrize("length", [1, 9, 16, 24, 25, 36, 80, 100])
def test_what_is_no_grid_is_told_in_one_line(length) -> None:
    message = rf"expected a length of \(2c \+ 1\)² with c ≥ 3 \(49, 81, 121, …\), got {length}"
    with pytest.raises(ValueError, match=message):
        Maze().sample(1, length, 0, "train")
    with pytest.raises(ValueError, match="Known: place, copy"):
        Maze(layout="slots")


def test_a_maze_is_shown_as_one() -> None:
    for layout in ("place", "copy"):
        batch = Maze(layout=layout).sample(3, 49, 0, "test")
        *lines, names = Maze(layout=layout).show(batch, 2).splitlines()
        text, steps = "".join(lines), int(batch.targets[2].sum()) // 2
        assert [len(line) for line in lines] == [7] * 7
        assert text.count("S") == text.count("G") == 1 and text.count("·") == 2 * steps - 1
        assert text.count("█") == 49 - 17 and f"{steps} steps: path" in names


def test_test_rows_are_frozen() -> None:
    """A change here is another test set: raise the version, and say so."""
    assert batch_hash(Maze().sample(256, 81, 0, "test")) == FROZEN


FROZEN = "c8c1655d52015e746e91d686a20df578034eb21daee3ffbb87dd598e61a51022"
