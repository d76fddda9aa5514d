"""Training: the schedule, the data order, and a resume that changes nothing."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from closedloop.bench.plan import method_options
from closedloop.bench.registry import Registry
from closedloop.bench.seeds import data_seed, noise_seed
from closedloop.bench.train import State, Trainer, weights_of
from closedloop.bench.trial import Trial
from closedloop.methods import METHODS
from closedloop.methods.method import Method, Sizes, build
from closedloop.tasks.parity import Parity

LENGTH = 8
SIZES = {"width": 16, "depth": 1, "heads": 2}
PROTOCOL = {
    "rows": 64,
    "epochs": 3,
    "batch": 16,
    "validation_rows": 32,
    "learning_rate": 1e-2,
    "weight_decay": 0.01,
    "clip": 1.0,
    "warmup": 0.1,
}


class Interrupted(Exception):
    """Stands for a kill in the middle of training."""


def silent(phase: str, step: int, steps: int, loss: float) -> None:
    """A watch that lets training run."""


def until(last: int):
    """A watch that stops training after a step."""

    def watch(phase: str, step: int, steps: int, loss: float) -> None:
        if step == last:
            raise Interrupted

    return watch


def trial_of(name: str) -> Trial:
    version, options = method_options(name, {}, SIZES, Registry())
    return Trial(
        task="parity",
        task_version=Parity().version,
        task_options=Parity().options(),
        method=name,
        method_version=version,
        method_options=options,
        length=LENGTH,
        test_lengths=(LENGTH,),
        seed=0,
        preset="test",
        preset_version=1,
        train=PROTOCOL,
        evaluate={"rows": 8, "batch": 8, "iterations": [0]},
    )


def model_of(name: str, seed: int = 1, **options: int) -> Method:
    method = Registry().method(name)
    config = method.Config(**{**trial_of(name).method_options, **options})
    return build(method, config, Sizes(2, 2, LENGTH), seed)


def trainer_of(name: str, seed: int = 1, model: Method | None = None, **protocol: float) -> Trainer:
    task, trial, found = Parity(), trial_of(name), {**PROTOCOL, **protocol}
    train = task.sample(int(found["rows"]), LENGTH, data_seed(trial), "train")
    validation = task.sample(int(found["validation_rows"]), LENGTH, 0, "validation")
    model = model or model_of(name, seed)
    return Trainer(model, [train], validation, found, data_seed(trial), noise_seed(trial))


def assert_same(one: Trainer, state: State, other: Trainer, other_state: State) -> None:
    left, right = weights_of(one.model), weights_of(other.model)
    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in left)
    assert state.curves == other_state.curves
    assert len(state.curves["loss"]) == one.steps == state.step == other_state.step
    assert state.best_step == other_state.best_step
    assert (state.best_accuracy, state.best_loss) == (
        other_state.best_accuracy,
        other_state.best_loss,
    )


@pytest.mark.parametrize("name", sorted(METHODS))
@pytest.mark.parametrize("last", [1, 4, 7], ids="after-step-{}".format)
def test_a_resumed_training_ends_bit_for_bit_as_an_unbroken_one(
    name: str, last: int, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "checkpoint.safetensors"
    unbroken = trainer_of(name)
    state = unbroken.run(silent, tmp_path / "none.safetensors", math.inf)
    broken = trainer_of(name)
    with pytest.raises(Interrupted):
        broken.run(until(last), checkpoint, 0.0)
    assert checkpoint.is_file() and broken.state.step == last
    resumed = trainer_of(name, seed=2)  # other weights at first: all come from the checkpoint
    steps: list[int] = []
    resumed_state = resumed.run(lambda phase, step, *_: steps.append(step), checkpoint, math.inf)
    assert steps == list(range(last + 1, resumed.steps + 1))
    assert_same(unbroken, state, resumed, resumed_state)


def test_a_training_interrupted_at_every_step_still_ends_as_an_unbroken_one(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.safetensors"
    unbroken = trainer_of("gru")
    state = unbroken.run(silent, tmp_path / "none.safetensors", math.inf)
    for last in range(1, unbroken.steps + 1):
        with pytest.raises(Interrupted):
            trainer_of("gru").run(until(last), checkpoint, 0.0)
    resumed = trainer_of("gru")
    assert_same(unbroken, state, resumed, resumed.run(silent, checkpoint, math.inf))


@pytest.mark.parametrize("keep", [0.0, 0.1, 0.5, 0.99])
def test_a_torn_checkpoint_is_dropped_and_training_starts_anew(keep: float, tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.safetensors"
    unbroken = trainer_of("gru")
    state = unbroken.run(silent, tmp_path / "none.safetensors", math.inf)
    with pytest.raises(Interrupted):
        trainer_of("gru").run(until(5), checkpoint, 0.0)
    body = checkpoint.read_bytes()
    checkpoint.write_bytes(body[: int(keep * len(body))])
    again = trainer_of("gru")
    steps: list[int] = []
    again_state = again.run(lambda phase, step, *_: steps.append(step), checkpoint, math.inf)
    assert steps[0] == 1
    assert not checkpoint.exists()
    assert_same(unbroken, state, again, again_state)


def test_a_checkpoint_of_other_weights_is_dropped_and_training_starts_anew(tmp_path: Path) -> None:
    """A plug-in edited between two runs keeps its trial id: its old checkpoint must not stick."""
    checkpoint = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Interrupted):
        trainer_of("gru", model=model_of("gru", width=12)).run(until(5), checkpoint, 0.0)
    again = trainer_of("gru")
    again.run(silent, checkpoint, math.inf)
    assert len(again.state.curves["loss"]) == again.steps


def test_a_checkpoint_is_written_no_more_often_than_asked(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.safetensors"
    trainer_of("gru").run(silent, checkpoint, math.inf)
    assert list(tmp_path.iterdir()) == []


def test_the_model_is_left_with_its_best_weights_and_in_eval_mode(tmp_path: Path) -> None:
    trainer = trainer_of("gru", epochs=6)
    state = trainer.run(silent, tmp_path / "none.safetensors", math.inf)
    scores = state.curves["validation_accuracy"]
    losses = state.curves["validation_loss"]
    pairs = [(-score, loss) for score, loss in zip(scores, losses, strict=True)]
    best = pairs.index(min(pairs))
    assert state.best_step == state.curves["validation_step"][best]
    assert not trainer.model.training
    accuracy, loss = scores[best], losses[best]
    trainer.validate()
    assert state.curves["validation_accuracy"][-1] == accuracy
    assert state.curves["validation_loss"][-1] == loss


def test_the_learning_rate_warms_up_linearly_then_falls_as_a_cosine_to_zero() -> None:
    trainer = trainer_of("gru", epochs=25, learning_rate=1e-3, warmup=0.1)
    assert trainer.steps == 100
    rates = [trainer.learning_rate(step) for step in range(trainer.steps)]
    rises = [after - before for before, after in zip(rates[:10], rates[1:11], strict=True)]
    assert rates[0] > 0
    assert rises == pytest.approx([rises[0]] * 10)
    assert max(rates) == rates[10] == 1e-3
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[55] == pytest.approx(0.5e-3)
    assert 0 < rates[-1] < 1e-6


@pytest.mark.parametrize("warmup", [0.0, 0.05, 1.0])
def test_every_step_has_a_learning_rate_above_zero_and_up_to_the_peak(warmup: float) -> None:
    trainer = trainer_of("gru", warmup=warmup)
    assert all(0 < trainer.learning_rate(step) <= 1e-2 for step in range(trainer.steps))


def test_the_optimiser_steps_at_the_schedule_s_rate(tmp_path: Path) -> None:
    trainer = trainer_of("gru")
    used: list[float] = []
    trainer.run(
        lambda *_: used.append(trainer.optimizer.param_groups[0]["lr"]),
        tmp_path / "none.safetensors",
        math.inf,
    )
    assert used == [trainer.learning_rate(step) for step in range(trainer.steps)]


def rows_seen(name: str, folder: Path) -> list[torch.Tensor]:
    """The training rows of every step, as the method's loss saw them."""
    trainer = trainer_of(name)
    seen, loss = [], trainer.model.loss

    def spy(batch, progress):
        seen.append(batch.inputs.clone())
        return loss(batch, progress)

    trainer.model.loss = spy  # type: ignore[method-assign]
    trainer.run(silent, folder / "none.safetensors", math.inf)
    return seen


def test_all_methods_of_a_seed_see_the_same_rows_in_the_same_order(tmp_path: Path) -> None:
    first, *others = [rows_seen(name, tmp_path) for name in sorted(METHODS)]
    assert others and len(first) == trainer_of("gru").steps
    for other in others:
        assert all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_a_range_of_lengths_is_trained_in_batches_of_one_length_each() -> None:
    """Every whole batch of every part once an epoch, the parts mixed, another order each time."""
    parts = [Parity().sample(20, length, 1, "train") for length in (3, 5, 8)]
    validation = Parity().sample(16, 8, 0, "validation")
    protocol = {**PROTOCOL, "batch": 8, "epochs": 2}
    trainer = Trainer(model_of("gru"), parts, validation, protocol, 5, 6)
    assert trainer.per_epoch == 6 and trainer.steps == 12
    orders = [[trainer.batch(step).inputs for step in range(start, start + 6)] for start in (0, 6)]
    widths = [[rows.shape[1] for rows in order] for order in orders]
    assert all(sorted(seen) == [3, 3, 5, 5, 8, 8] for seen in widths)
    assert widths[0] != sorted(widths[0]) or widths[1] != sorted(widths[1])
    known = {length: parts[i].inputs.tolist() for i, length in enumerate((3, 5, 8))}
    for order in orders:
        assert all(row in known[rows.shape[1]] for rows in order for row in rows.tolist())
    again = Trainer(model_of("gru"), parts, validation, protocol, 5, 6)
    assert all(torch.equal(again.batch(s).inputs, orders[0][s]) for s in range(6))


def test_an_epoch_shows_every_row_once_and_the_next_one_in_another_order() -> None:
    trainer = trainer_of("gru")
    epochs = [
        torch.cat([trainer.batch(step).inputs for step in range(start, start + trainer.per_epoch)])
        for start in (0, trainer.per_epoch)
    ]
    expected = sorted(trainer.parts[0].inputs.tolist())
    assert all(sorted(rows.tolist()) == expected for rows in epochs)
    assert not torch.equal(*epochs)
