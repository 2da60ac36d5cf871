"""Series: calls that follow each other with nothing that goes around them but inside."""

from __future__ import annotations

from dataclasses import dataclass

from ._dominators import ROOT, Dominators
from ._graph import Graph

_ADDS = {"add", "sub"}
# Calls that hold two weight layers in series: attention its projections in and out, a recurrent
# layer the one that reads and the one that goes from step to step.
_DOUBLE = {"multi_head_attention_forward", "lstm", "gru", "rnn_tanh", "rnn_relu"}


@dataclass(frozen=True)
class Stage:
    """One call of a series, and what lies between the one before and it.

    Attributes:
        node: of the call.
        layers: how many weight layers the longest way to it has, from the one before.
        skipped: whether another way has none (or one, where a sum joins it: a projection).
        inside: the calls between the two that are no series with them, where there are any.
    """

    node: int
    layers: int = 0
    skipped: bool = False
    inside: tuple[int, ...] = ()


def series(graph: Graph) -> tuple[tuple[Stage, ...], ...]:
    """Return the maximal runs of calls in series, in the order in which they begin.

    Everything that leaves one call of a run comes together in the next, and everything that
    reaches the next has passed the one before, whatever lies between them. Those in between are
    runs of their own.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from skipway._trace import observe
        >>> net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
        >>> [[stage.layers for stage in run] for run in series(observe(net, torch.randn(2, 4)))]
        [[0, 1, 0, 1]]
    """
    near = Dominators(graph)
    following = {
        index: after
        for index, after in enumerate(near.after)
        if after != ROOT and near.before[after] == index and index in graph.used
    }
    starts = [i for i in sorted(graph.used) if following.get(near.before[i]) != i]
    return tuple(_run(graph, near, start, following) for start in starts)


def _run(
    graph: Graph, near: Dominators, start: int, following: dict[int, int]
) -> tuple[Stage, ...]:
    run = [Stage(start, layers_at(graph, start))]
    while (after := following.get(run[-1].node)) is not None:
        run.append(_stage(graph, near, run[-1].node, after))
    return tuple(run)


def _stage(graph: Graph, near: Dominators, before: int, node: int) -> Stage:
    own = layers_at(graph, node)
    if near.main[node] == (before,):
        return Stage(node, own)
    fewest, most = {before: 0}, {before: 0}
    inside = _between(near, before, node)
    for index in (*inside, node):
        sources = [source for source in near.main[index] if source in most]
        if sources:
            layer = layers_at(graph, index)
            fewest[index] = min(fewest[s] for s in sources) + layer
            if graph.nodes[index].op == "mul":
                # A gate (squeeze and excitation): what it multiplies is the stream, and goes on.
                most[index] = most[min(sources, key=lambda s: fewest[s])] + layer
            else:
                most[index] = max(most[s] for s in sources) + layer
    least, longest = fewest[node] - own, most[node] - own
    allowed = int(graph.nodes[node].op in _ADDS)
    skipped = least <= allowed < longest or least == 0 < longest
    return Stage(node, most[node], skipped, inside)


def layers_at(graph: Graph, node: int) -> int:
    """Return how many weight layers a call is: none, one, or two in series."""
    if graph.unit_at(node) is None:
        return 0
    return 2 if graph.nodes[node].op in _DOUBLE else 1


def _between(near: Dominators, before: int, node: int) -> tuple[int, ...]:
    """Return what lies on the ways from the one to the other, in execution order."""
    found, waiting = set[int](), [node]
    while waiting:
        new = {s for s in near.main[waiting.pop()] if s > before and s not in found}
        found |= new
        waiting += new
    return tuple(sorted(found))
