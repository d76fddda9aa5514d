"""How fast the arena is, against what a user would pick instead: the table of lines."""

LINES: dict[str, str] = {
    "step-64": "closedloop.bench.speed.blocks:STEP_64",
    "step-256": "closedloop.bench.speed.blocks:STEP_256",
    "mfu": "closedloop.bench.speed.blocks:MFU",
    "eqt-answer": "closedloop.bench.speed.refining:ANSWER",
    "eqt-adaptive": "closedloop.bench.speed.refining:ADAPTIVE",
    "eqt-step": "closedloop.bench.speed.refining:STEP",
    "eqt-slope": "closedloop.bench.speed.refining:SLOPE",
    "implicit-memory": "closedloop.bench.speed.implicit:MEMORY",
    "implicit-time": "closedloop.bench.speed.implicit:TIME",
    "deq": "closedloop.bench.speed.loops:DEQ",
    "ttt": "closedloop.bench.speed.loops:TTT",
    "delta": "closedloop.bench.speed.loops:DELTA",
    "overhead": "closedloop.bench.speed.harness:OVERHEAD",
    "jobs": "closedloop.bench.speed.harness:JOBS",
}
"""Name -> where the line is."""
