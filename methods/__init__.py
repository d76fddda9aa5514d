"""What answers: the table of methods, name -> "module:class", loaded when first used."""

METHODS: dict[str, str] = {
    "transformer": "closedloop.methods.transformer:Transformer",
    "eqt": "closedloop.methods.eqt:EqT",
    "gru": "closedloop.methods.gru:GRU",
}
