"""From a plan to places in one network, or to an error that says what does not fit."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..._errors import RewireError
from ..._results import PlannedSkip
from ..._trace import Graph, Unit
from ._places import Place, callers, common_scope, input_of, outermost
from ._shortcuts import Ends, ends, fuse_of, shortcut_of

_PAGE = "rewire#plan-is-data"  # of the docs


@dataclass(frozen=True)
class Placed:
    """A planned skip and where it goes in one network."""

    skip: PlannedSkip
    source: Place
    destination: Place
    ends: Ends


def is_final(graph: Graph, place: Place) -> bool:
    """Tell whether no further weight layer reads this: it is the output, the logits."""
    return not graph.read_on[place.node]


def ends_of(graph: Graph, source: Place, destination: Place) -> Ends | None:
    op = graph.nodes[graph.unit(destination.name).node].op
    return ends(graph.nodes[source.node].shape, graph.nodes[destination.node].shape, op)


def place(graph: Graph, skip: PlannedSkip) -> Placed:
    """Find the place of a planned skip in a network.

    Raises:
        RewireError: it does not fit; the message names the layer.
    """
    first, last = unit_of(graph, skip.source), unit_of(graph, skip.destination)
    if first.node >= last.node:
        raise RewireError(
            f"`{skip.source}` does not come before `{skip.destination}` in this network, so its "
            "output cannot join there. Swap the two in the plan, or leave this skip out.",
            page=_PAGE,
        )
    source, destination = _ends_in_sight(graph, skip, first, last)
    if source is None or destination is None:
        missing = skip.source if source is None else skip.destination
        raise RewireError(
            f"The output of `{missing}` cannot be handed on: it is no single tensor of features, "
            "or it comes out of a block that holds the rest of the network as well. Choose "
            "another layer in the plan.",
            page=_PAGE,
        )
    if source.node >= destination.node:
        raise RewireError(
            f"The output of `{skip.source}` is there only after that of `{skip.destination}`: the "
            "block that holds the one ends later. Choose other ends in the plan.",
            page=_PAGE,
        )
    if is_final(graph, destination):
        raise RewireError(
            f"`{skip.destination}` makes the network's output; a skip onto it would add features "
            "to the logits. End the skip at an earlier layer."
        )
    return _fitting(graph, skip, source, destination)


def fits(graph: Graph, skip: PlannedSkip) -> bool:
    """Tell whether there is a place for the skip in this network."""
    try:
        place(graph, skip)
    except RewireError:
        return False
    return True


def _ends_in_sight(
    graph: Graph, skip: PlannedSkip, first: Unit, last: Unit
) -> tuple[Place | None, Place | None]:
    """Return both ends as places of one forward.

    That is the innermost one that calls both layers, or the one of a block into which the output
    of the first comes from outside.
    """
    scope = common_scope(graph, [first, last])
    destination = outermost(graph, scope, last, skip.destination_shape)
    if destination is not None and destination.child:
        inside = [p for p in callers(graph, last) if destination.child.startswith(f"{p}.")]
        entry = input_of(graph, inside[-1]) if inside and inside[-1] != scope else None
        if entry is not None and entry.name == first.name and _is_of(graph, entry, skip):
            return entry, replace(destination, scope=inside[-1])
    return outermost(graph, scope, first, skip.source_shape), destination


def _is_of(graph: Graph, entry: Place, skip: PlannedSkip) -> bool:
    """Tell whether what comes into a block is what the plan taps: it may be pooled on the way."""
    shape = skip.source_shape[1:]
    return not shape or graph.nodes[entry.node].shape[1:] == shape


def unit_of(graph: Graph, name: str) -> Unit:
    """Return the weight layer of this name.

    Raises:
        RewireError: the network has none.
    """
    try:
        return graph.unit(name)
    except KeyError:
        names = ", ".join(f"`{unit.name}`" for unit in graph.units[:8])
        raise RewireError(
            f"The plan names a layer `{name}` that this network does not have; its weight layers "
            f"are {names}{' ...' if len(graph.units) > 8 else ''}. Apply the plan to the network "
            "it was made for, or make a new one.",
            page=_PAGE,
        ) from None


def _fitting(graph: Graph, skip: PlannedSkip, source: Place, destination: Place) -> Placed:
    between = ends_of(graph, source, destination)
    shortcut = None if between is None else shortcut_of(between, skip.merge)
    shapes = graph.nodes[source.node].shape, graph.nodes[destination.node].shape
    if between is None or shortcut is None:
        raise RewireError(
            f"The output of `{skip.source}` {list(shapes[0])} cannot join that of "
            f"`{skip.destination}` {list(shapes[1])}: no padding, pooling or projection brings "
            "the one to the other. Choose ends with the same number of dimensions."
        )
    if not skip.source_shape and not skip.destination_shape:
        fuse = fuse_of(between) if skip.merge != "add" else None
        skip = replace(skip, shortcut=shortcut, fuse=fuse)
    planned = skip.source_shape[1:], skip.destination_shape[1:]
    if planned[0] and planned != (shapes[0][1:], shapes[1][1:]):
        raise RewireError(
            f"The plan expects {list(planned[0])} at `{skip.source}` and {list(planned[1])} at "
            f"`{skip.destination}`, for each sample; here they are {list(shapes[0][1:])} and "
            f"{list(shapes[1][1:])}. Make a new plan for this network.",
            page=_PAGE,
        )
    if skip.shortcut != shortcut and skip.shortcut not in _allowed(between, skip.merge):
        raise RewireError(
            f"A {skip.shortcut!r} shortcut cannot bring the output of `{skip.source}` "
            f"{list(shapes[0])} to that of `{skip.destination}` {list(shapes[1])}; "
            f"{shortcut!r} can."
        )
    return Placed(skip, source, destination, between)


def _allowed(between: Ends, merge: str) -> tuple[str, ...]:
    """Return the shortcuts that may be written into a plan by hand."""
    projection = "1x1" if between.dims else "linear"
    if between.stride != 1:
        return ("pool + 1x1",) if merge == "add" else ()
    if merge == "add" and between.widths[0] != between.widths[1]:
        return (projection,)
    return ()
