"""Dominators: which call everything that reaches another has passed.

`a` dominates `b` when every way to `b` leads over `a`; `b` post-dominates `a` when every way on
from `a` leads over `b`. A call and the nearest one that does both are in series, whatever lies
between them: one call, the three projections of an attention, an Inception block, a skip.

The nearest dominator of a call is where the ways back from all that it reads meet, in the tree of
those found before (Cooper, Harvey & Kennedy 2001, "A simple, fast dominance algorithm"; calls come
in execution order, so one pass is enough).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce

from ._graph import Graph

ROOT = -1


class Dominators:
    """The nearest dominator and post-dominator of every call of a graph; `ROOT` where none is.

    What has no weight layer behind it (a mask, positions, the new input of a recurrent step) comes
    in from the side: it does not count, unless nothing else is read.

    Args:
        graph: its calls in execution order.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._weighted = _weighted(graph)
        self.main = tuple(self._main(index) for index in range(len(graph.nodes)))
        self.before = self._forward()
        self.after = self._backward()

    def _main(self, index: int) -> tuple[int, ...]:
        """Return the sources of a call that count."""
        sources = self._graph.sources[index]
        weighted = tuple(s for s in sources if self._weighted[s])
        return weighted or sources

    def _forward(self) -> tuple[int, ...]:
        found: list[int] = []
        depth = [0]  # of ROOT; that of a call stands one place further on than the call
        for index in range(len(self._graph.nodes)):
            sources = self.main[index]
            nearest = _meeting(sources, found, depth)
            if nearest == ROOT and len(sources) > 1:
                nearest = self._independent(sources)
            found.append(nearest)
            depth.append(depth[nearest + 1] + 1)
        return tuple(found)

    def _independent(self, sources: Sequence[int]) -> int:
        """Return the deepest of several sources with nothing in common, or `ROOT`."""
        graph = self._graph
        main = max(sources, key=lambda source: (graph.depths[source], source))
        shared = any(graph.roots[each] & graph.roots[main] for each in sources if each != main)
        return ROOT if shared else main

    def _backward(self) -> tuple[int, ...]:
        count = len(self._graph.nodes)
        readers: list[list[int]] = [[] for _ in range(count)]
        for index in range(count):
            if index in self._graph.used:
                for source in self.main[index]:
                    readers[source].append(index)
        found, depth = [ROOT] * count, [0] * (count + 1)
        outputs = frozenset(self._graph.outputs)
        for index in reversed(range(count)):
            if index not in outputs:
                found[index] = _meeting(readers[index], found, depth)
            depth[index + 1] = depth[found[index] + 1] + 1
        return tuple(found)


def _weighted(graph: Graph) -> list[bool]:
    found: list[bool] = []
    for index, sources in enumerate(graph.sources):
        found.append(graph.unit_at(index) is not None or any(found[s] for s in sources))
    return found


def _meeting(nodes: Iterable[int], parent: Sequence[int], depth: Sequence[int]) -> int:
    """Return where the ways from these to the root of the tree meet."""

    def meet(a: int, b: int) -> int:
        while a != b:
            if depth[a + 1] < depth[b + 1]:
                a, b = b, a
            a = parent[a]
        return a

    each = list(nodes)
    return reduce(meet, each) if each else ROOT
