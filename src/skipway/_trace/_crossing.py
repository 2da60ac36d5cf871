"""What crosses from one half of a network to the other beside a weight layer, and by which way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from ._graph import SLICES, Graph, Node, Unit

_JOINS = {"add", "cat", "concat", "concatenate", "hstack"}
_ACTIVATIONS = {
    "relu", "relu6", "threshold", "tanh", "sigmoid", "gelu", "silu", "leaky_relu", "elu", "selu",
    "celu", "softplus", "softsign", "mish", "hardtanh", "hardswish", "hardsigmoid", "prelu",
    "rrelu",
}  # fmt: skip
_NEAR = 6  # how many calls a layer's activation may lie behind it: bias, norm, dropout, a sum


def crossings(graph: Graph) -> dict[int, tuple[int, ...]]:
    """Return, by the node of each weight layer, what it was computed from that goes on around it.

    Slices are left out: the later steps of a sequence that is read piece by piece go past no
    layer, they only wait.

    One sweep: every node hands on those of its ancestors that are still to be read, which in a
    plain network are none and beside a skip one.
    """
    last = [_last_reader(graph, node) for node in graph.nodes]
    handed: list[frozenset[int]] = []
    found: dict[int, tuple[int, ...]] = {}
    for index, sources in enumerate(graph.sources):
        known = frozenset(sources).union(*(handed[source] for source in sources))
        handed.append(frozenset(each for each in known if last[each] > index))
        if graph.unit_at(index) is not None:
            found[index] = tuple(sorted(handed[index]))
    return found


def _last_reader(graph: Graph, node: Node) -> int:
    if not node.differentiable:
        return -1
    readers = graph.consumers[node.index]
    return next((i for i in reversed(readers) if graph.nodes[i].op not in SLICES), -1)


def joins(graph: Graph) -> dict[int, list[int]]:
    """Return, by node of a sum or concatenation, its operands that another was computed from."""
    found = {}
    for node in graph.nodes:
        if node.op in _JOINS and len(set(node.inputs)) > 1:
            skipped = carried(graph, tuple(dict.fromkeys(node.inputs)))
            if skipped:
                found[node.index] = skipped
    return found


def carried(graph: Graph, operands: Sequence[int]) -> list[int]:
    """Return those of the operands that another one of them was computed from."""
    first, waiting = min(operands), list(operands)
    reached: set[int] = set()
    while waiting:
        for source in graph.sources[waiting.pop()]:
            if source >= first and source not in reached:
                reached.add(source)
                waiting.append(source)
    return [each for each in operands if each in reached]


def pieces_of(
    graph: Graph, node: Node, skipped: Sequence[int], gradient: Tensor
) -> list[tuple[int, Tensor]]:
    """Return, for each operand carried over a skip, the gradient that it gets at this join."""
    pieces = []
    for source in skipped:
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
    waiting = {start}
    for _ in range(_NEAR):
        waiting = {i for node in waiting for i in graph.consumers[node] if graph.unit_at(i) is None}
        for index in sorted(waiting):
            if graph.nodes[index].op in _ACTIVATIONS:
                return index
    return -1


def tap_of(graph: Graph, unit: Unit, skipped: Mapping[int, float]) -> int:
    """Return the tensor that a skip takes from this layer before the next layer, or -1."""
    if unit.node in skipped:
        return unit.node
    flows, index = {unit.node}, unit.node + 1
    while index < len(graph.nodes) and graph.unit_at(index) is None:
        if not flows.isdisjoint(graph.sources[index]):
            flows.add(index)
            if index in skipped:
                return index
        index += 1
    return -1
