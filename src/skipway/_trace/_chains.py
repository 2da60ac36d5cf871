"""Chains: weight layers in series with nothing that goes around them."""

from __future__ import annotations

from heapq import heappop, heappush

from ._graph import Graph, Unit


def chains(graph: Graph) -> tuple[tuple[Unit, ...], ...]:
    """Return the maximal runs of two or more weight layers in series, in execution order.

    Between two neighbours of a run every path forward leads from the one to the other: no skip,
    no second branch. What comes in beside the run from an input of its own (the new input of a
    recurrent step) does not break it.

    Each layer is looked at together with its neighbours only, so the time is linear in the number
    of calls.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from skipway._trace import observe
        >>> net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Linear(4, 2))
        >>> [[unit.name for unit in run] for run in chains(observe(net, torch.randn(2, 4)))]
        [['0', '2', '3']]
    """
    nodes = [unit.node for unit in graph.units]
    outputs = frozenset(graph.outputs)
    following = {node: _following(graph, node, outputs) for node in nodes}
    before = {node: _main_source(graph, node, following) for node in nodes}
    runs: list[tuple[Unit, ...]] = []
    for node in nodes:
        if before[node] is None:
            run = _run_from(node, before, following)
            if len(run) > 1:
                runs.append(tuple(unit for each in run if (unit := graph.unit_at(each))))
    return tuple(runs)


def reaches(graph: Graph) -> dict[int, int]:
    """Return, by layer, the last one of the same shape in its chain: where a skip would lead.

    Two layers or more lie between, as in a block of two, and the network's output is left out.
    """
    found: dict[int, int] = {}
    for run in chains(graph):
        last: dict[tuple[int, ...], int] = {}
        for at in reversed(range(len(run))):
            node = run[at].node
            shape = graph.nodes[node].shape
            if shape not in last and graph.read_on[node]:
                last[shape] = at
            elif last.get(shape, at) >= at + 2:
                found[node] = run[last[shape]].node
    return found


def _run_from(
    node: int, before: dict[int, int | None], following: dict[int, int | None]
) -> list[int]:
    run = [node]
    while (after := following[run[-1]]) is not None and before[after] == run[-1]:
        run.append(after)
    return run


def _following(graph: Graph, node: int, outputs: frozenset[int]) -> int | None:
    """Return the one weight layer that everything from `node` flows into, if there is one."""
    reached: set[int] = set()
    seen, waiting = {node}, [node]
    while waiting:
        # The earliest first: what a layer flows into beside its successor is near.
        here = heappop(waiting)
        if here in outputs:
            return None
        for reader in graph.consumers[here]:
            if graph.unit_at(reader) is not None:
                reached.add(reader)
            elif reader not in seen:
                seen.add(reader)
                heappush(waiting, reader)
        if len(reached) > 1:
            return None
    return reached.pop() if reached else None


def _main_source(graph: Graph, node: int, following: dict[int, int | None]) -> int | None:
    """Return the weight layer that feeds `node`: of several independent ones the deepest."""
    reached, seen, waiting = set(), {node}, [-node]
    while waiting:
        # The latest first: a skip that ends here shows itself before its whole past is walked.
        for source in graph.nodes[-heappop(waiting)].inputs:
            if graph.unit_at(source) is not None:
                if following[source] != node:
                    return None
                reached.add(source)
            elif source not in seen:
                seen.add(source)
                heappush(waiting, -source)
    if not reached:
        return None
    main = max(reached, key=lambda source: (graph.depths[source], source))
    shares = any(graph.roots[each] & graph.roots[main] for each in reached - {main})
    return None if shares else main
