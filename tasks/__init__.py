"""What is asked: the table of tasks, name -> "module:class", loaded when first used."""

TASKS: dict[str, str] = {
    "parity": "closedloop.tasks.parity:Parity",
}
