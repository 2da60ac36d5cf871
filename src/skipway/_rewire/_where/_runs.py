"""Runs: the weight layers, and what several of them are joined to, that a skip can go along."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..._trace import Graph, Stage, Unit, layers_at, series

# A branch of an existing skip with this few weight layers in series needs none inside.
_SHORT_BRANCH = 4
# So many weight layers of a module, or of branches that run beside each other, are one step.
STEP = 3


@dataclass(frozen=True)
class Point:
    """One weight layer of a run, or the call that several parallel ones come together in.

    Attributes:
        unit: the weight layer, the last of several.
        node: of the tensor.
        layers: how many weight layers lie on the longest way from the point before.
        first: the weight layer, the first of several.
    """

    unit: Unit
    node: int
    layers: int
    first: Unit


def runs_of(graph: Graph) -> list[tuple[Point, ...]]:
    """Return the runs of a network that no skip goes around, in execution order.

    Runs inside the short branches of skips that are there already, and inside parallel branches
    that are one step together, are left out.
    """
    every = series(graph)
    covered = {
        index for run in every for stage in run if _is_short(stage) for index in stage.inside
    }
    found = [
        points
        for run in every
        if run[0].node not in covered
        for part in _parts(run)
        if len(points := _points(graph, part)) > 1
    ]
    return sorted(found, key=lambda points: points[0].node)


def _is_short(stage: Stage) -> bool:
    return stage.layers <= (_SHORT_BRANCH if stage.skipped else STEP)


def _parts(run: Sequence[Stage]) -> Iterator[list[Stage]]:
    """Yield the parts of a run between the skips that are there already."""
    part: list[Stage] = []
    for stage in run:
        if stage.skipped:
            yield part
            part = []
        part.append(stage)
    yield part


def _points(graph: Graph, part: Sequence[Stage]) -> tuple[Point, ...]:
    found: list[Point] = []
    layers = 0
    for stage in part:
        # What is joined by a skip that is there starts anew: what lies before is another part.
        layers += layers_at(graph, stage.node) if stage.skipped else stage.layers
        indices = (stage.node,) if stage.skipped else (*stage.inside, stage.node)
        units = [unit for index in indices if (unit := graph.unit_at(index)) is not None]
        if units and layers:
            found.append(Point(units[-1], stage.node, layers, units[0]))
            layers = 0
    return tuple(found)
