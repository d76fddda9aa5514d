"""What is asked: the table of tasks, name -> "module:class", loaded when first used."""

TASKS: dict[str, str] = {
    "parity": "closedloop.tasks.parity:Parity",
    "group_word": "closedloop.tasks.group_word:GroupWord",
    "mqar": "closedloop.tasks.mqar:MQAR",
    "mod_arith": "closedloop.tasks.mod_arith:ModArith",
    "dyck": "closedloop.tasks.dyck:Dyck",
    "pointer_chase": "closedloop.tasks.pointer_chase:PointerChase",
    "sudoku": "closedloop.tasks.sudoku:Sudoku",
    "maze": "closedloop.tasks.maze:Maze",
    "flipflop": "closedloop.tasks.flipflop:FlipFlop",
    "addition": "closedloop.tasks.addition:Addition",
    "listops": "closedloop.tasks.listops:ListOps",
    "selective_copy": "closedloop.tasks.selective_copy:SelectiveCopy",
    "icll": "closedloop.tasks.icll:ICLL",
    "ca_steps": "closedloop.tasks.ca_steps:CASteps",
    "even_pairs": "closedloop.tasks.even_pairs:EvenPairs",
    "copy": "closedloop.tasks.copying:Copy",
    "bucket_sort": "closedloop.tasks.bucket_sort:BucketSort",
}

VARIANTS: dict[str, tuple[str, dict[str, bool | int | float | str]]] = {
    "parity-stratified": ("parity", {"sampler": "stratified"}),
    "group_word-s3": ("group_word", {"group": "S3"}),
    "group_word-z60": ("group_word", {"group": "Z60"}),
    "group_word-a4xz5": ("group_word", {"group": "A4xZ5"}),
    "group_word-a5": ("group_word", {"group": "A5"}),
    "group_word-swaps": ("group_word", {"swaps": True}),
    "mod_arith-brackets": ("mod_arith", {"brackets": True, "supervision": "final"}),
    "flipflop-nexttoken": ("flipflop", {"variant": "nexttoken"}),
    "addition-unaligned": ("addition", {"layout": "unaligned"}),
    "ca_steps-life": ("ca_steps", {"rule": "life", "width": 256}),
}
"""Lines of their own made of a task and options: name -> (task, options)."""
