"""From chains of weight layers to a plan, and from a plan to places in another network.

A skip goes around two weight layers: in the papers one has no advantage, three or more start
flatter (He et al. 2015, arXiv:1512.03385; Li et al. 2016, arXiv:1611.01186). Tried here, none of 1,
3, 4 and 6 is shown to be better than two (docs/evidence.md), and one takes twice as many skips. On
a chain of Linear, Norm, Activation the taps at weight-layer outputs give the pre-activation block
`x + W act(norm(W act(norm(x))))` of He et al. 2016 (arXiv:1603.05027), and no activation moves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, TypeAlias

from ..._errors import RewireError
from ..._results import Diagnosis, Plan, PlannedSkip
from ..._trace import Graph
from .._stacked_rnn import inner_skips, is_inner, outer_name
from ._decay import said, where_it_is_lost
from ._densify import densified
from ._hourglass import levels, long_pairs
from ._places import Place
from ._placing import ends_of, fits, is_final
from ._refusals import no_place
from ._runs import STEP, Point, runs_of
from ._shortcuts import Ends, fuse_of, shortcut_of
from ._streams import streams

How: TypeAlias = Literal["add", "cat", "dense"]
Merge: TypeAlias = Literal["add", "cat"]
SPAN = 2
# A level of an encoder or a decoder with more layers than this gets short skips as well.
_LEVEL = 4


def make_plan(graph: Graph, how: How, diagnosis: Diagnosis | None) -> Plan:
    """Choose the skips for a network.

    Raises:
        RewireError: there is no place for one; the message says what was seen.
    """
    if how not in ("add", "cat", "dense"):
        raise RewireError(f'how={how!r} is not known; give "add", "cat" or "dense".')
    runs = runs_of(graph)
    merge: Merge = "add" if how == "add" else "cat"
    found = [skips for run in runs for skips in _along(graph, run, merge)]
    found += inner_skips(graph, merge)
    kept = [_fitting(graph, skips) for skips in where_it_is_lost(found, diagnosis)]
    if not any(kept):
        raise RewireError(no_place(graph, [[point.unit for point in run] for run in runs]))
    reason = said([skip for run in kept for skip in run], found, diagnosis)
    if how == "dense":
        kept = [run if is_inner(run[0]) else densified(run) for run in kept if run]
    skips = sorted(
        (s for each in kept for s in each), key=lambda s: graph.unit(outer_name(s.source)).node
    )
    return Plan(how=how, skips=tuple(skips), reason=reason)


def _fitting(graph: Graph, skips: Sequence[PlannedSkip]) -> list[PlannedSkip]:
    """Leave out what no forward sees both ends of as planned, such as a tensor pooled between."""
    return [skip for skip in skips if is_inner(skip) or fits(graph, skip)]


def with_gates(plan: Plan) -> Plan:
    """Return the plan with every skip closed at the start."""
    skips = (replace(skip, gate=True, branch_scale=1.0) for skip in plan.skips)
    return replace(plan, skips=tuple(skips))


def with_scale(plan: Plan, scale: float) -> Plan:
    """Return the plan with its branches scaled."""
    return replace(plan, skips=tuple(replace(skip, branch_scale=scale) for skip in plan.skips))


def _along(graph: Graph, run: Sequence[Point], how: Merge) -> list[list[PlannedSkip]]:
    """Return the skips along a run: long ones by resolution, else around every two layers."""
    long = _long(graph, run, how)
    if not long:
        return _short(graph, run, how)
    deep = [level for level in levels(graph, run) if len(level) > _LEVEL]
    return [long, *(skips for level in deep for skips in _short(graph, level, how))]


def _long(graph: Graph, run: Sequence[Point], how: Merge) -> list[PlannedSkip]:
    found = []
    for source, destination in long_pairs(graph, run):
        between = ends_of(graph, source, destination)
        if between and shortcut_of(between, how) and not is_final(graph, destination):
            found.append(_planned(source, destination, between, how))
    return found


def _short(graph: Graph, run: Sequence[Point], how: Merge) -> list[list[PlannedSkip]]:
    """Return the skips along a run: around small blocks, else inside of them."""
    for block in (STEP, 1):
        found = [_skips(graph, places, how) for places in streams(graph, run, block)]
        if any(found):
            return [skips for skips in found if skips]
    return []


def _skips(graph: Graph, places: Sequence[Place], how: Merge) -> list[PlannedSkip]:
    found: list[PlannedSkip] = []
    source, passed = places[0], 0
    for here in places[1:]:
        passed += here.layers
        if here.large:
            source, passed = here, 0
            continue
        between = ends_of(graph, source, here)
        if between is None or shortcut_of(between, how) is None:
            source, passed = here, 0
        elif passed >= SPAN and not is_final(graph, here):
            found.append(_planned(source, here, between, how))
            source, passed = here, 0
    return found


def _planned(source: Place, destination: Place, between: Ends, how: How) -> PlannedSkip:
    return PlannedSkip(
        source=source.name,
        destination=destination.name,
        merge=how,
        shortcut=shortcut_of(between, how) or "identity",
        fuse=fuse_of(between) if how == "cat" else None,
        source_shape=between.source,
        destination_shape=between.destination,
    )
