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
    "copy": "closedloop.tasks.copy:Copy",
    "bucket_sort": "closedloop.tasks.bucket_sort:BucketSort",
}
