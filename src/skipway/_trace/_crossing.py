"""What crosses from one half of a network to the other beside a weight layer, and by which way."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ._graph import Graph, Node, Unit

_JOINS = {"add", "cat", "concat", "concatenate", "hstack"}
_SLICES = {"getitem", "select", "narrow", "unbind", "chunk", "split", "tensor_split"}
_ACTIVATIONS = {
    "relu", "relu6", "threshold", "tanh", "sigmoid", "gelu", "silu", "leaky_relu", "elu", "selu",
    "celu", "softplus", "mish", "hardtanh", "hardswish", "hardsigmoid", "prelu", "rrelu",
}  # fmt: skip
_NEAR = 6  # how many calls a layer's activation may lie behind it: bias, norm, dropout, a sum


def beside(graph: Graph, unit: Unit) -> list[int]:
    """Return the tensors that `unit` was computed from and that go on around it.

    Slices are left out: the later steps of a sequence that is read piece by piece go past no
    layer, they only wait.
    """
    found = []
    for node in graph.nodes[: unit.node]:
        if not node.differentiable or not graph.feeds(node.index, unit.node):
            continue
        later = [i for i in graph.consumers[node.index] if i > unit.node]
        if any(graph.nodes[i].op not in _SLICES for i in later):
            found.append(node.index)
    return found


def carried(graph: Graph, node: Node) -> list[int]:
    """Return the operands of a sum or a concatenation that another operand was computed from."""
    if node.op not in _JOINS or len(set(node.inputs)) < 2:
        return []
    return [
        source
        for source in dict.fromkeys(node.inputs)
        if any(graph.feeds(source, other) for other in node.inputs)
    ]


def pieces_of(graph: Graph, node: Node, gradient: Tensor) -> list[tuple[int, Tensor]]:
    """Return, for each operand carried over a skip, the gradient that it gets at this join."""
    pieces = []
    for source in carried(graph, node):
        shape = graph.nodes[source].shape
        if shape == tuple(gradient.shape) and node.op == "add":
            pieces.append((source, gradient))
        elif node.op != "add" and len(shape) == gradient.dim():
            dim = next((d for d, n in enumerate(shape) if n != gradient.shape[d]), 0)
            sizes = [graph.nodes[i].shape[dim] for i in node.inputs]
            start = sum(sizes[: node.inputs.index(source)])
            pieces.append((source, gradient.narrow(dim, start, shape[dim])))
    return pieces


def activation_of(graph: Graph, start: int) -> int:
    """Return the activation that the output of a layer goes into, or -1."""
    units = {unit.node for unit in graph.units}
    waiting = {start}
    for _ in range(_NEAR):
        waiting = {i for node in waiting for i in graph.consumers[node]} - units
        for index in sorted(waiting):
            if graph.nodes[index].op in _ACTIVATIONS:
                return index
    return -1


def tap_of(graph: Graph, unit: Unit, skipped: Mapping[int, float]) -> int:
    """Return the tensor that a skip takes from this layer before the next layer, or -1."""
    following = [other.node for other in graph.units if other.node > unit.node]
    end = following[0] if following else len(graph.nodes)
    for index in range(unit.node, end):
        if index in skipped and (index == unit.node or graph.feeds(unit.node, index)):
            return index
    return -1
