"""What answers: the table of methods, name -> "module:class", loaded when first used."""

METHODS: dict[str, str] = {
    "transformer": "closedloop.methods.transformer:Transformer",
    "eqt": "closedloop.methods.eqt:EqT",
    "eqt-plus": "closedloop.methods.eqt_plus:EqTPlus",
    "deq": "closedloop.methods.deq:DEQ",
    "deq-ift": "closedloop.methods.deq_ift:DEQIFT",
    "diffusion-masked": "closedloop.methods.diffusion_masked:DiffusionMasked",
    "diffusion-causal": "closedloop.methods.diffusion_causal:DiffusionCausal",
    "diffusion": "closedloop.methods.diffusion:Diffusion",
    "transformer-feedback": "closedloop.methods.feedback:Feedback",
    "ttt-linear": "closedloop.methods.ttt_linear:TTTLinear",
    "ttt-mlp": "closedloop.methods.ttt_mlp:TTTMLP",
    "looped": "closedloop.methods.looped:Looped",
    "deep-thinking": "closedloop.methods.deep_thinking:DeepThinking",
    "trm": "closedloop.methods.trm:TRM",
    "ebt": "closedloop.methods.ebt:EBT",
    "deltanet": "closedloop.methods.deltanet:DeltaNet",
    "gru": "closedloop.methods.gru:GRU",
    "lstm": "closedloop.methods.lstm:LSTM",
}

VARIANTS: dict[str, tuple[str, dict[str, bool | int | float | str]]] = {
    "ttt-linear-b1": ("ttt-linear", {"mini_batch": 1}),
    "ttt-mlp-b1": ("ttt-mlp", {"mini_batch": 1}),
    "deq-jacobian": ("deq", {"jacobian": 0.1}),
    "deq-phantom": ("deq", {"gradient": "phantom"}),
    "deq-broyden": ("deq-ift", {"solver": "broyden"}),
    "looped-concat": ("looped", {"injection": "concat"}),
    "trm-step": ("trm", {"gradient": "step"}),
    "deltanet-positive": ("deltanet", {"negative": False}),
    "deep-thinking-lipschitz": ("deep-thinking", {"lipschitz": True}),
    "diffusion-masked-random": ("diffusion-masked", {"order": "random"}),
    "diffusion-masked-left": ("diffusion-masked", {"order": "left"}),
    "diffusion-ddim": ("diffusion", {"eta": 0.0}),
    "diffusion-draws": ("diffusion", {"draws": 4}),
}
"""Rows of their own made of a method and options: name -> (method, options)."""
