"""Streams: the places along a run, one list for each forward that sees several of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from ..._trace import Graph
from ._places import Place, common_scope, input_of, output_of, product_of, step_of
from ._runs import STEP, Point


def streams(graph: Graph, run: Sequence[Point], block: int = STEP) -> list[list[Place]]:
    """Return the places along a run of weight layers, one list for each forward.

    A child whose longest way has up to `block` of them is one step; a larger one is entered too,
    and its forward has a list of its own, which begins with what comes in.
    """
    scope = common_scope(graph, [point.unit for point in run])
    groups = [
        list(group) for _, group in groupby(run, key=lambda point: _step(graph, scope, point))
    ]
    found: list[list[Place]] = []
    # What comes in is the place before the first layer only where no other layer runs there first.
    entry = input_of(graph, scope) if graph.units_in[scope][0] == run[0].first else None
    own = [entry] if entry is not None else []
    for group in groups:
        place = _place(graph, scope, group, block)
        if sum(point.layers for point in group) > block and len(group) > 1:
            inside = common_scope(graph, [point.unit for point in group])
            found += streams(graph, group, block) if inside != scope else []
        if place is None:
            found.append(own)
            own = []
        else:
            own.append(place)
    return [places for places in (*found, own) if len(places) > 1]


def _step(graph: Graph, scope: str, point: Point) -> tuple[str, int, int]:
    child, call = step_of(graph, scope, point.unit)
    return child, call, 0 if child else point.unit.node


def _place(graph: Graph, scope: str, group: Sequence[Point], block: int) -> Place | None:
    last = group[-1]
    child, call = step_of(graph, scope, last.unit)
    if child:
        shared = graph.calls.get(child, 0) > 1
        if not shared and graph.units_in[child][-1] != last.unit:
            return None  # more layers follow in it, beyond a skip that it has already
        place = output_of(graph, scope, child, call, last.unit)
    else:
        place = product_of(graph, scope, last.unit)
    if place is None or place.node < last.node:
        return None
    layers = sum(point.layers for point in group)
    return replace(place, layers=layers, large=layers > block)
