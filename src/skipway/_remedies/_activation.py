"""Which kind of activation follows a weight layer: what a start has to make up for."""

from __future__ import annotations

from .._trace import Graph, Unit

# What lies between a weight layer and its activation without being one.
_PASSES = {
    "batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm", "add", "mul", "dropout",
    "view", "reshape", "flatten", "contiguous", "to", "float", "permute", "transpose", "clone",
    "max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "squeeze", "unsqueeze",
    "alpha_dropout", "feature_alpha_dropout", "dropout2d", "identity",
}  # fmt: skip
_RECTIFIERS = {
    "relu", "leaky_relu", "elu", "gelu", "silu", "celu", "selu", "relu6", "softplus", "mish",
    "hardswish", "prelu", "rrelu", "threshold", "clamp_min",
}  # fmt: skip
ACTIVATIONS = {
    **dict.fromkeys(_RECTIFIERS, "rectifier"),
    **dict.fromkeys(("tanh", "softsign", "hardtanh"), "tanh"),
    **dict.fromkeys(("sigmoid", "hardsigmoid"), "sigmoid"),
}


def activation_kind(graph: Graph, unit: Unit) -> str:
    """Return the kind of the activation that follows, past norms and reshapes."""
    here, seen = list(graph.consumers[unit.node]), set[int]()
    while here:
        index = here.pop(0)
        op = graph.nodes[index].op.rstrip("_")
        if op in ACTIVATIONS:
            return ACTIVATIONS[op]
        if op in _PASSES and index not in seen:
            seen.add(index)
            here += graph.consumers[index]
    return "none"
