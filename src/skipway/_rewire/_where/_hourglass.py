"""Long skips of an encoder and its decoder: from each resolution to where it is reached again.

Ronneberger et al. 2015 (arXiv:1505.04597): what pooling throws away comes back beside what the
depth has made of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from ..._trace import Graph
from ._places import Place, common_scope, outermost
from ._runs import Point

Pair = tuple[Place, Place]


def long_pairs(graph: Graph, run: Sequence[Point]) -> list[Pair]:
    """Return the two ends of each long skip, the longest first; none where nothing comes back.

    The encoder's end is its last layer of a resolution, the decoder's the first that has it again.
    """
    sizes = [_size(graph, point) for point in run]
    lowest = sizes.index(min(sizes))
    found: list[Pair] = []
    for size in sorted({size for size in sizes[:lowest] if size > sizes[lowest]}, reverse=True):
        again = [at for at in range(lowest + 1, len(run)) if sizes[at] == size]
        if again:
            last = max(at for at in range(lowest) if sizes[at] == size)
            pair = _pair(graph, run[last], run[again[0]])
            if pair is not None and sum(point.layers for point in run[last + 1 : again[0] + 1]) > 1:
                found.append(pair)
    return found


def levels(graph: Graph, run: Sequence[Point]) -> list[list[Point]]:
    """Return the parts of a run that keep one resolution."""
    found: list[list[Point]] = []
    for point in run:
        if found and _size(graph, found[-1][-1]) == _size(graph, point):
            found[-1].append(point)
        else:
            found.append([point])
    return found


def _size(graph: Graph, point: Point) -> int:
    """Return how many positions a tensor has; 0 where it has none."""
    shape = graph.nodes[point.node].shape
    convolved = "conv" in graph.nodes[point.unit.node].op
    return prod(shape[2:]) if convolved and len(shape) > 2 else 0


def _pair(graph: Graph, first: Point, last: Point) -> Pair | None:
    scope = common_scope(graph, [first.unit, last.unit])
    shapes = graph.nodes[first.node].shape, graph.nodes[last.node].shape
    if shapes[0][2:] != shapes[1][2:]:
        return None
    source = outermost(graph, scope, first.unit, shapes[0])
    destination = outermost(graph, scope, last.unit, shapes[1])
    if source is None or destination is None or source.node >= destination.node:
        return None
    return source, destination
