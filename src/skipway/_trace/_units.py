"""Which of the calls are weight layers, and what they are called."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from ._graph import Node, Unit

# Calls that multiply their input by a weight. A weight of two or more dimensions that is only
# added (a position embedding) or scales (a norm over two dimensions) makes no layer.
_MULTIPLIES = {
    "linear", "bilinear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d",
    "conv_transpose3d", "matmul", "rmatmul", "mm", "bmm", "addmm", "addbmm", "baddbmm", "einsum",
    "tensordot", "embedding", "embedding_bag", "lstm", "gru", "rnn_tanh", "rnn_relu", "lstm_cell",
    "gru_cell", "rnn_tanh_cell", "rnn_relu_cell", "multi_head_attention_forward",
    "scaled_dot_product_attention", "conv_tbc", "deform_conv2d",
}  # fmt: skip


def find_units(
    nodes: tuple[Node, ...], model: nn.Module, calls: Mapping[str, int]
) -> tuple[Unit, ...]:
    """Return the weight layers among `nodes`, in execution order, each with a name of its own."""
    parameters = dict(model.named_parameters(remove_duplicate=False))
    modules = dict(model.named_modules())
    found: list[Unit] = []
    seen: dict[str, int] = {}
    for node in nodes:
        weights = [name for name in node.parameters if parameters[name].dim() >= 2]
        own = modules[node.module]
        if not weights or not (node.op in _MULTIPLIES or node.op == type(own).__name__):
            continue
        base = _base(node, weights, modules)
        shared = calls.get(node.module, 1) > 1
        name = f"{base}#{node.call}" if shared else base
        seen[name] = seen.get(name, 0) + 1
        if seen[name] > 1:
            name = f"{name}~{seen[name]}"
        rest = [each for each in node.parameters if each not in weights]
        found.append(
            Unit(
                name=name,
                node=node.index,
                module=node.module,
                call=node.call,
                type=_type(node, own, tuple(parameters[weights[0]].shape)),
                parameters=(*weights, *rest),
                shared=shared,
            )
        )
    return tuple(found)


def _base(node: Node, weights: list[str], modules: Mapping[str, nn.Module]) -> str:
    owner, _, short = weights[0].rpartition(".")
    direct = len(dict(modules[node.module].named_parameters(recurse=False)))
    if owner == node.module and direct <= 2 and owner:
        return owner
    if owner != node.module and not owner.startswith("parametrizations") and owner in modules:
        # A weight borrowed from elsewhere (tied embeddings): the caller's name tells the place.
        return node.module or f"{owner}.{short}"
    return weights[0] if len(weights) == 1 else (node.module or weights[0])


def _type(node: Node, module: nn.Module, shape: tuple[int, ...]) -> str:
    kind = type(module).__name__
    if isinstance(module, (nn.Linear, nn.LazyLinear)):
        return f"{kind} {module.in_features} → {module.out_features}"
    if isinstance(module, nn.modules.conv._ConvNd):
        kernel = "×".join(map(str, module.kernel_size))
        return f"{kind} {module.in_channels} → {module.out_channels}, {kernel}"
    if isinstance(module, nn.Embedding):
        return f"{kind} {module.num_embeddings} → {module.embedding_dim}"
    size = "×".join(map(str, shape))
    return f"{node.op} {size}" if list(module.children()) or not node.module else f"{kind} {size}"
