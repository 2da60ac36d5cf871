"""Chains: weight layers in series with nothing that goes around them."""

from __future__ import annotations

from ._graph import Graph, Unit


def chains(graph: Graph) -> tuple[tuple[Unit, ...], ...]:
    """Return the maximal runs of two or more weight layers in series, in execution order.

    Between two neighbours of a run every path forward leads from the one to the other: no skip,
    no second branch. What comes in beside the run from an input of its own (the new input of a
    recurrent step) does not break it.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from skipway._trace import observe
        >>> net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Linear(4, 2))
        >>> [[unit.name for unit in run] for run in chains(observe(net, torch.randn(2, 4)))]
        [['0', '2', '3']]
    """
    units = {unit.node: unit for unit in graph.units}
    following = {node: _following(graph, node, units) for node in units}
    before = {node: _main_source(graph, node, units, following) for node in units}
    runs: list[tuple[Unit, ...]] = []
    for node in units:
        if before[node] is None:
            run = _run_from(node, before, following)
            if len(run) > 1:
                runs.append(tuple(units[each] for each in run))
    return tuple(runs)


def _run_from(
    node: int, before: dict[int, int | None], following: dict[int, int | None]
) -> list[int]:
    run = [node]
    while (after := following[run[-1]]) is not None and before[after] == run[-1]:
        run.append(after)
    return run


def _following(graph: Graph, node: int, units: dict[int, Unit]) -> int | None:
    """Return the one weight layer that everything from `node` flows into, if there is one."""
    reached: set[int] = set()
    seen, waiting = {node}, [node]
    while waiting:
        here = waiting.pop()
        if here in graph.outputs:
            return None
        for reader in graph.consumers[here]:
            if reader in units:
                reached.add(reader)
            elif reader not in seen:
                seen.add(reader)
                waiting.append(reader)
        if len(reached) > 1:
            return None
    return reached.pop() if reached else None


def _main_source(
    graph: Graph, node: int, units: dict[int, Unit], following: dict[int, int | None]
) -> int | None:
    """Return the weight layer that feeds `node`: of several independent ones the deepest."""
    reached, seen, waiting = set(), {node}, [node]
    while waiting:
        for source in graph.nodes[waiting.pop()].inputs:
            if source in units:
                reached.add(source)
            elif source not in seen:
                seen.add(source)
                waiting.append(source)
    if not reached or any(following[source] != node for source in reached):
        return None
    depth = {source: (graph.ancestors(source).bit_count(), source) for source in reached}
    main = max(reached, key=lambda source: depth[source])
    for other in reached - {main}:
        if graph.ancestors(other) & graph.ancestors(main):
            return None
    return main
