"""Reading the skip connections that a model has from its graph.

`add(a, b)` is an identity skip when one operand was computed from the other; else the nearest
common ancestor decides: when one side holds at most one weight layer and the other more, it is a
projection, otherwise a parallel branch; without a common ancestor two inputs merge.
Concatenations are read in the same way.
"""

from __future__ import annotations

from .._results import Kind, SkipConnection
from ._graph import Graph, Node

_ADDS = {"add", "sub"}
_CATS = {"cat", "concat", "concatenate", "hstack", "vstack"}
_POOLS = ("pool", "interpolate", "upsample")
# What leaves a skipped tensor the same: sums it is part of, dropout, a change of layout.
_TRANSPARENT = _ADDS | {"dropout", "contiguous", "clone", "to", "type_as", "float", "half"}


def read_skips(graph: Graph) -> tuple[SkipConnection, ...]:
    """Return the model's skip connections and joined branches in execution order.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from skipway._trace import observe
        >>> class Block(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)
        ...     def forward(self, x):
        ...         return x + self.b(torch.relu(self.a(x)))
        >>> [(s.kind, s.source, s.branch) for s in read_skips(observe(Block(), torch.randn(2, 4)))]
        [('identity', 'input', ('a', 'b'))]
    """
    found = (_read(graph, node) for node in graph.nodes if node.op in _ADDS | _CATS)
    return tuple(skip for skip in found if skip is not None)


def _read(graph: Graph, node: Node) -> SkipConnection | None:
    operands = tuple(dict.fromkeys(node.inputs))
    if len(operands) < 2 or len(node.shape) < 2:
        return None
    kind, start, light = _classify(graph, node, operands)
    heavy = [each for each in operands if each != light] or list(operands)
    branch = _units_between(graph, start, heavy)
    if kind != "merge" and not branch:
        return None
    return SkipConnection(
        kind=kind,
        source=_layer_at(graph, start),
        destination=branch[-1] if branch else _layer_at(graph, max(operands)),
        branch=branch,
        shape=node.shape,
    )


def _classify(
    graph: Graph, node: Node, operands: tuple[int, ...]
) -> tuple[Kind, int | None, int | None]:
    """Return the kind, the node where the ways part (if any) and the operand that is skipped."""
    concatenates = node.op in _CATS
    for source in sorted(operands):
        if any(graph.feeds(source, other) for other in operands if other != source):
            return ("concatenation" if concatenates else "identity"), source, source
    common = graph.ancestors(operands[0])
    for other in operands[1:]:
        common &= graph.ancestors(other)
    if not common:
        return "merge", None, None
    start = common.bit_length() - 1
    weights = {each: _fewest_weights(graph, start, each) for each in operands}
    light = min(operands, key=lambda each: weights[each])
    most = max(_units_count(graph, start, each) for each in operands if each != light)
    kind = _joined(graph, concatenates, start, light, weights[light], most)
    return kind, start, (None if kind == "parallel" else light)


def _joined(
    graph: Graph, concatenates: bool, start: int, light: int, fewest: int, most: int
) -> Kind:
    if concatenates:
        pooled = _pooled(graph, start, light)
        return "concatenation" if fewest == 0 and not pooled else "parallel"
    if fewest == 0 and most > 0:
        same = graph.nodes[light].op in _TRANSPARENT
        return "identity" if same else "projection"
    return "projection" if fewest == 1 and most > 1 else "parallel"


def _between(graph: Graph, start: int, end: int) -> list[int]:
    inside = graph.ancestors(end) | (1 << end)
    return [i for i in range(start + 1, end + 1) if inside >> i & 1 and graph.feeds(start, i)]


def _pooled(graph: Graph, start: int, end: int) -> bool:
    return any(word in graph.nodes[i].op for i in _between(graph, start, end) for word in _POOLS)


def _fewest_weights(graph: Graph, start: int, end: int) -> int:
    """Count the weight layers on the way from `start` to `end` that has the fewest."""
    units = {unit.node for unit in graph.units}
    least = {start: 0}
    for i in _between(graph, start, end):
        least[i] = min(least[s] for s in graph.nodes[i].inputs if s in least) + (i in units)
    return least[end]


def _units_count(graph: Graph, start: int, end: int) -> int:
    inside = set(_between(graph, start, end))
    return sum(unit.node in inside for unit in graph.units)


def _units_between(graph: Graph, start: int | None, ends: list[int]) -> tuple[str, ...]:
    inside: set[int] = set()
    for end in ends:
        inside |= set(_between(graph, 0 if start is None else start, end))
    return tuple(unit.name for unit in graph.units if unit.node in inside)


def _layer_at(graph: Graph, node: int | None) -> str:
    if node is None:
        return "input"
    inside = graph.ancestors(node) | (1 << node)
    names = [unit.name for unit in graph.units if inside >> unit.node & 1]
    return names[-1] if names else "input"
