"""The trial that tests without training vary: parity of eight bits, by a transformer."""

from closedloop.bench.trial import Trial

TRIAL = Trial(
    task="parity",
    task_version=1,
    task_options={"sampler": "natural"},
    method="transformer",
    method_version=1,
    method_options={},
    length=8,
    test_lengths=(8,),
    seed=0,
    preset="tiny",
    preset_version=1,
    train={"batch": 16},
    evaluate={"rows": 8, "iterations": [0]},
)
