"""Deep equilibria through torchdeq: gradients, causality, counts, and what its traps would do."""

import copy

import pytest
import torch
import torchdeq
from torch.nn.attention import SDPBackend, sdpa_kernel

from closedloop.methods.deq import DEQ, DEQConfig, spread_count
from closedloop.methods.deq_ift import DEQIFT, DEQIFTConfig
from closedloop.methods.layers.injected import injected, soften
from closedloop.methods.layers.trunk import Trunk, TrunkConfig
from closedloop.methods.method import Progress, Sizes, build
from closedloop.methods.solvers.fixed_point import (
    SEARCHES,
    implicit,
    iterate,
    phantom,
    search,
    searched,
)
from closedloop.methods.solvers.jacobian import jacobian_penalty
from closedloop.tasks.parity import Parity

ROWS, LENGTH, WIDTH = 3, 6, 8
SIZES = Sizes(2, 2, LENGTH)
SMALL = {"width": WIDTH, "depth": 1, "heads": 2}
LATE = Progress(9, 10, 0)


def ignored(residual: torch.Tensor) -> None:
    """Hears what a backward solve came to."""


class Problem:
    """A small causal f in float64 that contracts, and a weighted sum of its fixed point."""

    def __init__(self, gain: float = 0.5) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.trunk = Trunk(TrunkConfig(**SMALL), SIZES).double()
            self.weights = torch.randn(ROWS, LENGTH, WIDTH, dtype=torch.float64)
        soften(self.trunk, gain)
        self.inputs = Parity().sample(ROWS, LENGTH, 0, "train").to("cpu").inputs
        self.start = self.trunk.embed(self.inputs).detach()

    def map(self):
        return injected(self.trunk, self.trunk.embed(self.inputs))

    def unrolled(self, steps: int) -> torch.Tensor:
        f, state = self.map(), self.start
        for _ in range(steps):
            state = f(state)
        return state

    def gradient(self, state: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
        """Of scale · ⟨weights, state⟩, over the block's weights, flat."""
        leaves = list(self.trunk.blocks.parameters())
        grads = torch.autograd.grad(scale * (state * self.weights).sum(), leaves)
        return torch.cat([grad.flatten() for grad in grads])

    def solved(self, solver: str = "broyden", tolerance: float = 1e-12) -> torch.Tensor:
        """The fixed point with implicit gradients."""
        evaluations = 250 if solver == "anderson" else 60  # its ridge slows it below 1e-2
        found = search(self.map(), self.start, solver, evaluations)
        return implicit(self.map(), found.point, "broyden", 60, tolerance, ignored)


@pytest.fixture
def problem() -> Problem:
    return Problem()


def error(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


# ---- gradients -----------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", SEARCHES)
def test_the_implicit_gradient_is_the_unrolled_one_at_convergence(problem, solver) -> None:
    """Bai et al. 2019, Eq. 6–9, against autograd through 150 plain iterations."""
    expected = problem.gradient(problem.unrolled(150))
    assert error(problem.gradient(problem.solved(solver)), expected) < 1e-8


def test_the_implicit_gradient_is_that_of_finite_differences(problem) -> None:
    direction = torch.randn(
        problem.trunk.blocks[0].feed.down.weight.shape,
        generator=torch.Generator().manual_seed(1),
        dtype=torch.float64,
    )
    weight = problem.trunk.blocks[0].feed.down.weight
    (grad,) = torch.autograd.grad((problem.solved() * problem.weights).sum(), weight)
    step, values = 1e-5, []
    for sign in (1, -1):
        moved = copy.deepcopy(problem)
        with torch.no_grad():
            moved.trunk.blocks[0].feed.down.weight += sign * step * direction
            values.append(float((moved.unrolled(150) * problem.weights).sum()))
    # central differences: h² of truncation, 1e-16 / h of rounding
    expected = (values[0] - values[1]) / (2 * step)
    assert float((grad * direction).sum()) == pytest.approx(expected, rel=1e-7)


def test_an_affine_map_has_its_known_solution_and_gradient() -> None:
    """z = A z + b: z* = (I − A)⁻¹ b, and dℓ/db = (I − A)⁻ᵀ dℓ/dz."""
    generator = torch.Generator().manual_seed(2)
    a = torch.randn(5, 5, generator=generator, dtype=torch.float64)
    a = 0.8 * a / torch.linalg.matrix_norm(a, 2)
    b = torch.randn(ROWS, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(ROWS, 5, generator=generator, dtype=torch.float64)
    resolvent = torch.linalg.inv(torch.eye(5, dtype=torch.float64) - a)
    found = search(lambda z: z @ a.T + b, torch.zeros_like(b), "broyden", 30)
    state = implicit(lambda z: z @ a.T + b, found.point, "broyden", 30, 1e-13, ignored)
    torch.testing.assert_close(state, b @ resolvent.T)
    (grad,) = torch.autograd.grad((state * weights).sum(), b)
    torch.testing.assert_close(grad, weights @ resolvent)


def test_the_phantom_gradient_nears_the_exact_one_with_its_steps(problem) -> None:
    """The error of k steps is J^k's: it falls with every one of them."""
    expected = problem.gradient(problem.unrolled(150))
    solved = iterate(problem.map(), problem.start, 150, 1.0)
    errors = [
        error(problem.gradient(phantom(problem.map(), solved, k, 1.0)), expected)
        for k in (1, 2, 4, 8, 16)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 0.05 and errors[-1] < 1e-2 * errors[0]


def test_unrolled_training_is_autograd_through_the_loop(problem) -> None:
    """torchdeq's phantom gradient over all K iterations from the start."""
    state = problem.start
    f = problem.map()
    for _ in range(5):
        state = 0.8 * f(state) + (1 - 0.8) * state
    found = phantom(problem.map(), problem.start, 5, 0.8)
    assert torch.equal(found, state)
    assert error(problem.gradient(found), problem.gradient(state)) < 1e-14


@pytest.mark.parametrize("scale", [1.0, 1e-2, 1e-4, 1e-6, 1e-8])
def test_the_gradient_s_direction_does_not_depend_on_the_loss_s_scale(problem, scale) -> None:
    """With torchdeq's default, an absolute 1e-6, it is off by 37 % at 1e-8 already."""
    expected = problem.gradient(problem.unrolled(150))
    state = problem.solved(tolerance=1e-6)
    # the tolerance, times ||(I − J)⁻¹||; torchdeq adds 1e-9 to the size that it divides by
    assert error(problem.gradient(state, scale) / scale, expected) < 1e-4


def test_a_second_derivative_through_the_equilibrium_is_refused(problem) -> None:
    """torchdeq's own is silently wrong."""
    weight = problem.trunk.blocks[0].feed.down.weight
    with pytest.raises(RuntimeError, match="no derivative"):
        torch.autograd.grad(problem.solved().square().sum(), weight, create_graph=True)


def test_two_uses_before_one_backward_and_two_backwards_after_one_use(problem) -> None:
    """torchdeq's hook_ift hangs on the one and is off by half on the other."""
    single = problem.gradient(problem.solved())
    both = problem.gradient(problem.solved() + problem.solved())
    assert error(both, 2 * single) < 1e-12
    state, leaves = problem.solved(), list(problem.trunk.blocks.parameters())
    total = (state * problem.weights).sum()
    first = torch.autograd.grad(total, leaves, retain_graph=True)
    second = torch.autograd.grad(total, leaves)
    assert all(torch.equal(*pair) for pair in zip(first, second, strict=True))


def test_the_jacobian_penalty_estimates_the_frobenius_norm(problem) -> None:
    state = iterate(problem.map(), problem.start, 10, 1.0)
    with sdpa_kernel(SDPBackend.MATH):
        jacobian = torch.autograd.functional.jacobian(problem.map(), state)
    exact = float(jacobian.square().sum()) / state.numel()
    generator = torch.Generator().manual_seed(3)
    probes = [torch.randn(state.shape, generator=generator).double() for _ in range(400)]
    values = torch.stack([jacobian_penalty(problem.map(), state, probe) for probe in probes])
    spread = float(values.detach().std()) / 20
    assert abs(float(values.detach().mean()) - exact) < 4 * spread < 0.1 * exact
    weight = problem.trunk.blocks[0].feed.down.weight
    (grad,) = torch.autograd.grad(values[0], weight)
    assert bool((grad != 0).any())


# ---- counts and states ---------------------------------------------------------------------------


@pytest.mark.parametrize("solver", SEARCHES)
@pytest.mark.parametrize("evaluations", [0, 1, 2, 3, 7])
def test_an_iteration_is_one_evaluation_of_f(problem, solver, evaluations) -> None:
    calls, f = [], problem.map()

    def counted(state: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return f(state)

    found = search(counted, problem.start, solver, evaluations)
    assert len(calls) == found.evaluations == evaluations


def test_the_first_iterations_of_both_searches_are_plain_ones(problem) -> None:
    """Where torchdeq's Anderson would give the start back, and Broyden its last point."""
    f = problem.map()
    for solver in SEARCHES:
        assert torch.equal(search(f, problem.start, solver, 0).state, problem.start)
        assert torch.equal(search(f, problem.start, solver, 1).state, f(problem.start))
        state = search(f, problem.start, solver, 2).state
        torch.testing.assert_close(state, f(f(problem.start)))


def test_the_searches_end_where_torchdeq_s_own_do(problem) -> None:
    """Anderson's best image, and Broyden's best point, of a converging search."""
    f, solve = problem.map(), torchdeq.solver.get_solver
    settings = {"max_iter": 12, "tol": 0.0, "stop_mode": "rel"}
    with torch.no_grad():
        anderson = solve("anderson")(f, problem.start, **settings)[0]
        broyden = solve("broyden")(f, problem.start, LBFGS_thres=32, **settings)[0]
    assert torch.equal(search(f, problem.start, "anderson", 12).state, anderson)
    assert torch.equal(search(f, problem.start, "broyden", 13).point, broyden)


def test_the_residual_is_that_of_the_point_kept(problem) -> None:
    f = problem.map()
    for found in list(searched(f, problem.start, "anderson", 9))[1:]:
        with torch.no_grad():
            torch.testing.assert_close(found.state, f(found.point))
        gap = (found.state - found.point).flatten(1).norm(dim=1)
        torch.testing.assert_close(found.residual, gap / found.state.flatten(1).norm(dim=1))


def test_a_row_that_does_not_converge_is_told() -> None:
    """One row contracts towards its fixed point, the other has none: its steps never shrink."""

    def f(state: torch.Tensor) -> torch.Tensor:
        return torch.stack([0.1 * state[0] + 1, state[1] + 1])

    start = torch.ones(2, 4, dtype=torch.float64)
    found = search(f, start, "broyden", 6)
    assert found.converged(1e-2).tolist() == [True, False]
    assert bool(torch.isinf(search(f, start, "broyden", 0).residual).all())


def test_a_row_whose_residual_never_changes_does_not_end_its_batch() -> None:
    """Anderson's system of such a row is singular but for a ridge that float32 would round away."""

    def f(state: torch.Tensor) -> torch.Tensor:
        return torch.stack([0.1 * state[0] + 1, state[1] + 30])

    found = search(f, torch.zeros(2, 64), "anderson", 12)
    assert found.evaluations == 12 and bool(found.state.isfinite().all())
    assert bool(found.converged(1e-6)[0])


def test_an_unconverged_backward_solve_is_told(problem) -> None:
    residuals = []
    for iterations in (2, 40):
        told: list[torch.Tensor] = []
        point = search(problem.map(), problem.start, "broyden", 40).point
        state = implicit(problem.map(), point, "broyden", iterations, 1e-8, told.append)
        assert not told
        problem.gradient(state)
        residuals.append(float(told[-1].max()))
    assert residuals[0] > 1e-3 and residuals[1] <= 1e-8


@pytest.mark.parametrize("solver", SEARCHES)
@pytest.mark.parametrize("late", [1, 4, 6])
def test_a_late_nan_leaves_the_best_state_as_it_was(problem, solver, late) -> None:
    """torchdeq's own selection turns to NaN with it."""
    f, calls = problem.map(), []

    def broken(state: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return f(state) * (torch.nan if len(calls) >= late else 1)

    with torch.no_grad():
        found = search(broken, problem.start, solver, 8)
    expected = search(f, problem.start, solver, late - 1)
    assert torch.equal(found.state, expected.state)
    assert torch.equal(found.residual, expected.residual)
    if late == 1:
        assert not bool(found.converged(1e9).any())


def test_unknown_solvers_and_options_are_refused(problem) -> None:
    """torchdeq takes any keyword, and asserts without a word on a solver."""
    with pytest.raises(ValueError, match="Known: anderson, broyden"):
        search(problem.map(), problem.start, "newton", 3)
    with pytest.raises(ValueError, match="Known: anderson, broyden"):
        implicit(problem.map(), problem.start, "simple_fixed_point_iter", 3, 0.1, ignored)
    with pytest.raises(TypeError):
        search(problem.map(), problem.start, "broyden", 3, stop_mode="rel")
    with pytest.raises(TypeError):
        iterate(problem.map(), problem.start, 3, 0.8, tol=1e-3)
    with pytest.raises(ValueError, match="float32 or float64"):
        search(problem.map(), problem.start.bfloat16(), "anderson", 3)


@pytest.mark.parametrize("solver", SEARCHES)
def test_a_row_is_solved_as_if_alone(problem, solver) -> None:
    trunk, embedded = problem.trunk, problem.trunk.embed(problem.inputs)
    together = search(injected(trunk, embedded), problem.start, solver, 9).state
    for row in range(ROWS):
        part = slice(row, row + 1)
        alone = search(injected(trunk, embedded[part]), problem.start[part], solver, 9).state
        # other batch sizes round differently; nine steps of a contraction hardly enlarge that
        torch.testing.assert_close(alone, together[part], rtol=1e-9, atol=1e-9)


# ---- the methods ---------------------------------------------------------------------------------


def model(method, seed: int = 1, **options):
    return build(method, method.Config(**SMALL, **options), SIZES, seed).double().eval()


@pytest.fixture
def inputs() -> torch.Tensor:
    return Parity().sample(ROWS, LENGTH, 0, "test").to("cpu").inputs


@pytest.mark.parametrize("iterations", [1, 2, 5, 12, 40])
def test_deq_is_the_damped_iteration_written_out(inputs, iterations) -> None:
    """One call of torchdeq for the answer, K of them for the deliberation: the same bits."""
    deq = model(DEQ)
    with torch.no_grad():
        embedded = state = deq.trunk.embed(inputs)
        f = injected(deq.trunk, embedded)
        for _ in range(iterations):
            state = 0.8 * f(state) + (1 - 0.8) * state
        expected = deq.trunk.read(state)
        *_, last = deq.deliberate(inputs, iterations)
        assert torch.equal(deq.answer(inputs, iterations).logits, expected)
        assert torch.equal(last.logits, expected)


@pytest.mark.parametrize("gradient", ["unrolled", "phantom"])
def test_deq_trains_on_the_state_that_it_answers_from(inputs, gradient) -> None:
    deq = model(DEQ, iterations=6, spread=0.0, gradient=gradient)
    batch = Parity().sample(ROWS, LENGTH, 0, "test").to("cpu")
    nats = deq.loss(batch, LATE).parts["cross_entropy"]
    logits = deq.answer(batch.inputs, 6).logits
    expected = torch.nn.functional.cross_entropy(logits[batch.mask], batch.targets[batch.mask])
    assert float(nats.detach()) == float(expected.detach())


@pytest.mark.parametrize("solver", SEARCHES)
def test_deq_ift_trains_on_the_state_that_it_answers_from(solver) -> None:
    """torchdeq by itself answers from one evaluation of f earlier than it trains on."""
    deq = model(DEQIFT, iterations=6, solver=solver)
    batch = Parity().sample(ROWS, LENGTH, 0, "test").to("cpu")
    nats = deq.loss(batch, LATE).parts["cross_entropy"]
    logits = deq.answer(batch.inputs, 6).logits
    expected = torch.nn.functional.cross_entropy(logits[batch.mask], batch.targets[batch.mask])
    assert float(nats.detach()) == float(expected.detach())


def test_deq_ift_trains_with_the_implicit_gradient() -> None:
    """Its loss against autograd through 150 plain iterations, both converged."""
    options = {"iterations": 40, "backward_iterations": 40, "backward_tolerance": 1e-12}
    deq = model(DEQIFT, solver="broyden", jacobian=0.0, **options)
    batch = Parity().sample(ROWS, LENGTH, 0, "train").to("cpu")
    loss = deq.loss(batch, LATE)
    assert float(loss.parts["unconverged"]) == 0
    # the start carries no gradient to the embedding at convergence either way
    leaves = list(deq.parameters())
    found = torch.autograd.grad(loss.total, leaves)
    embedded = deq.trunk.embed(batch.inputs)
    f, state = injected(deq.trunk, embedded), embedded
    for _ in range(150):
        state = f(state)
    logits = deq.trunk.read(state)
    total = torch.nn.functional.cross_entropy(logits[batch.mask], batch.targets[batch.mask])
    for one, other in zip(found, torch.autograd.grad(total, leaves), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-10)
    assert float(deq.loss(batch, LATE).parts["backward_residual"]) < 1e-11


def test_only_the_damped_iteration_is_causal(inputs) -> None:
    """The largest change of an earlier state when the last input changes, by iterations.

    Zero to the last bit for `deq`. Anderson's and Broyden's coefficients read the whole row: they
    leak, and by less the nearer they are to converged.
    """
    changed = inputs.clone()
    changed[:, -1] = 1 - changed[:, -1]

    def leak(deq, iterations: int) -> float:
        with torch.no_grad():
            one, other = (deq.answer(rows, iterations).logits for rows in (inputs, changed))
        return float((one - other)[:, :-1].abs().max())

    plain = model(DEQ)
    assert [leak(plain, k) for k in (1, 3, 12, 48)] == [0.0] * 4
    for solver in SEARCHES:
        deq = model(DEQIFT, solver=solver)
        leaks = [leak(deq, k) for k in (1, 4, 12, 48)]
        # one evaluation is plain; measured 9e-3 and 6e-3 after four, 9e-5 and 4e-16 after 48
        assert leaks[0] == 0 and 1e-3 < leaks[1] < 1e-1
        assert leaks[1] > leaks[2] > leaks[3] and leaks[3] < 0.05 * leaks[1]


def test_a_draw_of_the_count_stays_within_its_spread() -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = {spread_count(12, 0.25, generator) for _ in range(300)}
    assert drawn == set(range(9, 16))
    assert {spread_count(12, 0.0, generator) for _ in range(5)} == {12}
    assert min(spread_count(1, 1.0, generator) for _ in range(20)) >= 1


def test_the_penalty_waits_for_the_warm_up_and_takes_its_share() -> None:
    deq = model(DEQ, jacobian=0.1, jacobian_share=0.4, warmup=0.5, iterations=2)
    batch = Parity().sample(2, LENGTH, 0, "train").to("cpu")
    parts = [deq.loss(batch, Progress(step, 200, 0)).parts for step in range(200)]
    taken = ["jacobian" in part for part in parts]
    assert not any(taken[:99])
    assert 25 <= sum(taken[100:]) <= 55  # 40 of 100, three standard deviations


@pytest.mark.parametrize(
    "config, options, known",
    [
        (DEQConfig, {"gradient": "exact"}, "unrolled, phantom"),
        (DEQConfig, {"damping": 0.0}, "damping"),
        (DEQConfig, {"spread": 2.0}, "spread"),
        (DEQConfig, {"iterations": 0}, "≥ 1"),
        (DEQConfig, {"jacobian": -1.0}, "≥ 0"),
        (DEQIFTConfig, {"solver": "newton"}, "anderson, broyden"),
        (DEQIFTConfig, {"gain": 2.0}, "gain"),
        (DEQIFTConfig, {"warmup": 2.0}, "warmup"),
        (DEQIFTConfig, {"backward_iterations": 0}, "≥ 1"),
        (DEQIFTConfig, {"backward_tolerance": -1.0}, "≥ 0"),
    ],
)
def test_bad_options_are_told_in_one_line(config, options, known) -> None:
    with pytest.raises(ValueError, match=known):
        config(**options)
