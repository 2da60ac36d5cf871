"""Reading the skip connections that a model has from its graph.

`add(a, b)` is an identity skip when one operand was computed from the other; else the nearest
common ancestor decides: when one side holds at most one weight layer and the other more, it is a
projection, otherwise a parallel branch; without a common ancestor two inputs merge.
Concatenations are read in the same way.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush

from .._results import Kind, SkipConnection
from ._crossing import carried
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
    # Where two inputs merge there is no branch: neither way goes around the other.
    branch = () if start is None else _units_between(graph, start, heavy)
    if kind != "merge" and not branch:
        return None
    return SkipConnection(
        kind=kind,
        source=_layer_at(graph, [] if start is None else [start]),
        destination=branch[-1] if branch else _layer_at(graph, operands),
        branch=branch,
        shape=node.shape,
    )


def _classify(
    graph: Graph, node: Node, operands: tuple[int, ...]
) -> tuple[Kind, int | None, int | None]:
    """Return the kind, the node where the ways part (if any) and the operand that is skipped."""
    concatenates = node.op in _CATS
    skipped = carried(graph, operands)
    if skipped:
        source = min(skipped)
        return ("concatenation" if concatenates else "identity"), source, source
    start = _parting(graph, operands)
    if start is None:
        return "merge", None, None
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


def _parting(graph: Graph, ends: tuple[int, ...]) -> int | None:
    """Return the last node that all the ends were computed from, if there is one."""
    shared = graph.roots[ends[0]]
    for end in ends[1:]:
        shared &= graph.roots[end]
    if not shared:
        return None
    # From the latest node back, each with the set of ends that it leads to.
    leads = {end: 1 << at for at, end in enumerate(ends)}
    everyone, waiting = (1 << len(ends)) - 1, sorted(-end for end in ends)
    while waiting:
        here = -heappop(waiting)
        if leads[here] == everyone:
            return here
        for source in graph.sources[here]:
            if source not in leads:
                heappush(waiting, -source)
            leads[source] = leads.get(source, 0) | leads[here]
    return None


def _between(graph: Graph, start: int, end: int) -> list[int]:
    """Return the nodes on the ways from `start` to `end`, which is one of them, in order."""
    inside, waiting = {end}, [end]
    while waiting:
        new = {s for s in graph.sources[waiting.pop()] if s > start and s not in inside}
        inside |= new
        waiting += new
    found, fed = [], {start}
    for index in sorted(inside):
        if not fed.isdisjoint(graph.sources[index]):
            fed.add(index)
            found.append(index)
    return found


def _pooled(graph: Graph, start: int, end: int) -> bool:
    return any(word in graph.nodes[i].op for i in _between(graph, start, end) for word in _POOLS)


def _fewest_weights(graph: Graph, start: int, end: int) -> int:
    """Count the weight layers on the way from `start` to `end` that has the fewest."""
    least = {start: 0}
    for i in _between(graph, start, end):
        fewest = min(least[s] for s in graph.sources[i] if s in least)
        least[i] = fewest + (graph.unit_at(i) is not None)
    return least[end]


def _units_count(graph: Graph, start: int, end: int) -> int:
    return sum(graph.unit_at(i) is not None for i in _between(graph, start, end))


def _units_between(graph: Graph, start: int, ends: list[int]) -> tuple[str, ...]:
    inside = {i for end in ends for i in _between(graph, start, end)}
    units = (graph.unit_at(i) for i in sorted(inside))
    return tuple(unit.name for unit in units if unit is not None)


def _layer_at(graph: Graph, nodes: Iterable[int]) -> str:
    """Return the last weight layer that the nodes were computed from, or that one of them is."""
    seen = set(nodes)
    waiting = sorted(-node for node in seen)
    while waiting:
        here = -heappop(waiting)
        unit = graph.unit_at(here)
        if unit is not None:
            return unit.name
        for source in graph.sources[here]:
            if source not in seen:
                seen.add(source)
                heappush(waiting, -source)
    return "input"
