"""Reading the skip connections that a model has from its graph.

`add(a, b)` is an identity skip when one operand was computed from the other; else the nearest
common ancestor decides: when one side holds at most one weight layer and the other more, it is a
projection, otherwise a parallel branch; without a common ancestor two inputs merge.
Concatenations are read in the same way. What does not depend on the model's input (a position
embedding, a mask, a bias) is no side of a skip.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Literal

from .._results import Kind, SkipConnection
from ._crossing import carried
from ._graph import Graph, Node

_ADDS = {"add", "sub"}
_CATS = {"cat", "concat", "concatenate", "hstack", "vstack"}
_POOLS = ("pool", "interpolate", "upsample")
# What leaves a skipped tensor the same: sums it is part of, dropout, a change of layout.
_TRANSPARENT = _ADDS | {
    "dropout", "contiguous", "clone", "to", "type_as", "float", "half", "getitem", "view",
    "reshape", "flatten", "transpose", "permute", "unsqueeze", "squeeze", "chunk", "split",
}  # fmt: skip


@dataclass(frozen=True)
class Joint:
    """Where two or more ways meet.

    Attributes:
        node: the call that joins them.
        merge: `"add"` or `"cat"`.
        kind: as in `SkipConnection`.
        start: the node where the ways part; `None` where they never were one.
        skipped: the operands that come over the skip; none in a merge or parallel branches.
        branch: the other operands.
    """

    node: int
    merge: Literal["add", "cat"]
    kind: Kind
    start: int | None
    skipped: tuple[int, ...]
    branch: tuple[int, ...]


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
    return tuple(_fact(graph, joint) for joint in read_joints(graph))


def read_joints(graph: Graph) -> tuple[Joint, ...]:
    """Return the same as nodes of the graph, for those who want to change them."""
    live = _from_the_input(graph)
    found: dict[int, Joint] = {}
    for node in graph.nodes:
        joint = _read(graph, node, live) if node.op in _ADDS | _CATS else None
        if joint is not None:
            found[node.index] = _beside(graph, joint, found) or joint
    return tuple(found.values())


def branch_of(graph: Graph, joint: Joint) -> tuple[str, ...]:
    """Return the names of the weight layers that the skip goes around.

    Where there are none (a pooling with a norm), those of the modules that hold parameters.
    """
    if joint.start is None:  # neither way goes around the other
        return ()
    inside = sorted({i for end in joint.branch for i in between(graph, joint.start, end)})
    layers = tuple(unit.name for unit in map(graph.unit_at, inside) if unit is not None)
    nodes = (graph.nodes[index] for index in inside)
    return layers or tuple(dict.fromkeys(node.module for node in nodes if node.parameters))


def _fact(graph: Graph, joint: Joint) -> SkipConnection:
    branch = branch_of(graph, joint)
    ways = joint.skipped or joint.branch
    starts = [joint.start] if joint.start is not None and joint.merge == "add" else sorted(ways)
    sources = tuple(dict.fromkeys(_layer_at(graph, [node]) for node in starts))
    return SkipConnection(
        kind=joint.kind,
        source="input" if joint.start is None else _layer_at(graph, [joint.start]),
        destination=branch[-1] if branch else _layer_at(graph, joint.branch),
        branch=branch,
        shape=graph.nodes[joint.node].shape,
        sources=sources,
        source_shape=() if joint.start is None else graph.nodes[joint.start].shape,
        merge=joint.merge,
        module=graph.nodes[joint.node].module,
    )


def _from_the_input(graph: Graph) -> list[bool]:
    live: list[bool] = []
    for node in graph.nodes:
        live.append(node.op == "input" or any(live[source] for source in node.inputs))
    return live


def _read(graph: Graph, node: Node, live: list[bool]) -> Joint | None:
    operands = tuple(each for each in dict.fromkeys(node.inputs) if live[each])
    if len(operands) < 2 or len(node.shape) < 2:
        return None
    joint = _classified(graph, node, operands)
    return joint if joint.kind == "merge" or branch_of(graph, joint) else None


def _classified(graph: Graph, node: Node, operands: tuple[int, ...]) -> Joint:
    concatenates = node.op in _CATS
    merge: Literal["add", "cat"] = "cat" if concatenates else "add"
    fed = carried(graph, operands)
    if fed:
        rest = tuple(each for each in operands if each not in fed)
        kind: Kind = "concatenation" if concatenates else "identity"
        return Joint(node.index, merge, kind, min(fed), tuple(fed), rest)
    start = _parting(graph, operands)
    if start is None:
        return Joint(node.index, merge, "merge", None, (), operands)
    weights = {each: _fewest_weights(graph, start, each) for each in operands}
    light = min(operands, key=lambda each: weights[each])
    heavy = tuple(each for each in operands if each != light)
    most = max(_units_count(graph, start, each) for each in heavy)
    kind = _joined(graph, concatenates, start, light, weights[light], most)
    if kind == "parallel":
        return Joint(node.index, merge, kind, start, (), operands)
    return Joint(node.index, merge, kind, start, (light,), heavy)


def _beside(graph: Graph, joint: Joint, found: Mapping[int, Joint]) -> Joint | None:
    """Return a sum as a further branch beside a skip: `x + f(h) + g(h)` with `h = norm(x)`.

    The ways to `f` and `g` part at `h`, but the skip goes around both of them.
    """
    if joint.merge == "cat" or joint.kind not in ("parallel", "projection"):
        return None
    operands = (*joint.skipped, *joint.branch)
    for operand in operands:
        inner = found.get(operand)
        others = tuple(each for each in operands if each != operand)
        residual = inner is not None and inner.kind == "identity" and inner.merge == "add"
        if not residual or inner is None or inner.start is None:
            continue
        if graph.consumers[operand] == (joint.node,) and carried(graph, (inner.start, *others)):
            return Joint(joint.node, "add", "identity", inner.start, (operand,), others)
    return None


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


def _parting(graph: Graph, ends: Sequence[int]) -> int | None:
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


def between(graph: Graph, start: int, end: int) -> list[int]:
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
    return any(word in graph.nodes[i].op for i in between(graph, start, end) for word in _POOLS)


def _fewest_weights(graph: Graph, start: int, end: int) -> int:
    """Count the weight layers on the way from `start` to `end` that has the fewest."""
    least = {start: 0}
    for i in between(graph, start, end):
        fewest = min(least[s] for s in graph.sources[i] if s in least)
        least[i] = fewest + (graph.unit_at(i) is not None)
    return least[end]


def _units_count(graph: Graph, start: int, end: int) -> int:
    return sum(graph.unit_at(i) is not None for i in between(graph, start, end))


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
