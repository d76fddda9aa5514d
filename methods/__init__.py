"""What answers: the table of methods, name -> "module:class", loaded when first used."""

METHODS: dict[str, str] = {
    "transformer": "closedloop.methods.transformer:Transformer",
    "eqt": "closedloop.methods.eqt:EqT",
    "gru": "closedloop.methods.gru:GRU",
}

VARIANTS: dict[str, tuple[str, dict[str, bool | int | float | str]]] = {}
"""Rows of their own made of a method and options: name -> (method, options)."""
