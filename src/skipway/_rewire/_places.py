"""Where a value can be tapped: the forward in which two weight layers are both in sight.

Two layers that one forward calls are tapped at their own outputs. Where they lie in different
blocks, the forward that calls both blocks holds the skip, and the blocks' outputs are what is
tapped and joined: `x = skip + self.blocks[3](x)`. A block of up to three weight layers is one
step; a larger one is entered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from .._trace import Graph, Unit

_BLOCK = 3
# Calls whose output is one tensor of features; an LSTM's is not.
_TENSORS = (
    "linear", "bilinear", "matmul", "mm", "bmm", "addmm", "einsum", "embedding", "rnn_tanh_cell",
    "rnn_relu_cell", "gru_cell", "conv1d", "conv2d", "conv3d", "conv_transpose1d",
    "conv_transpose2d", "conv_transpose3d",
)  # fmt: skip


@dataclass(frozen=True)
class Place:
    """A value that one forward can hand on.

    Attributes:
        name: of the last weight layer that made it.
        scope: path of the module whose forward sees it.
        child: path of the module it comes out of; `""` where the scope multiplies by itself.
        call: which call of the child, from 0.
        parameter: name of the weight, where there is no child.
        node: of the tensor in the graph.
        layers: how many weight layers it took since the place before.
    """

    name: str
    scope: str
    child: str
    call: int
    parameter: str
    node: int
    layers: int = 1


def streams(graph: Graph, run: Sequence[Unit], block: int = _BLOCK) -> list[list[Place]]:
    """Return the places along a run of weight layers, one list for each forward.

    A child with more than `block` of them is entered.
    """
    scope = common_scope(graph, run)
    groups = [list(group) for _, group in groupby(run, key=lambda unit: _step(graph, scope, unit))]
    found: list[list[Place]] = [[]]
    for group in groups:
        place = _place(graph, scope, group) if len(group) <= block else None
        if place is not None:
            found[-1].append(place)
        else:
            inside = len(group) > block and common_scope(graph, group) != scope
            found += [*(streams(graph, group, block) if inside else []), []]
    return [places for places in found if places]


def place_of(graph: Graph, unit: Unit, other: Unit) -> Place | None:
    """Return where the output of `unit` can be tapped for a skip that ends or starts at `other`."""
    scope = common_scope(graph, [unit, other])
    child, call = _step(graph, scope, unit)[:2]
    group = [each for each in graph.units if _step(graph, scope, each)[:2] == (child, call)]
    return _place(graph, scope, group if child else [unit])


def common_scope(graph: Graph, units: Sequence[Unit]) -> str:
    """Return the innermost module, called once, that all these layers are called in."""
    shared = set.intersection(*(set(_callers(graph, unit)) for unit in units))
    return max(shared, key=len)


def _callers(graph: Graph, unit: Unit) -> list[str]:
    parts = unit.module.split(".") if unit.module else []
    paths = [".".join(parts[:length]) for length in range(len(parts) + 1)]
    return [path for path in paths if graph.calls.get(path) == 1]


def _step(graph: Graph, scope: str, unit: Unit) -> tuple[str, int, int]:
    """Return the child of `scope` that runs the layer, which call of it, and its own node."""
    if unit.module == scope:
        return "", 0, unit.node
    parts = unit.module.split(".")
    start = len(scope.split(".")) if scope else 0
    for length in range(start + 1, len(parts) + 1):
        path = ".".join(parts[:length])
        if graph.calls.get(path, 0) > 1:
            return path, unit.call, 0
        if path in graph.calls:
            return path, 0, 0
    return unit.module, unit.call, 0


def _place(graph: Graph, scope: str, group: list[Unit]) -> Place | None:
    last = group[-1]
    child, call, _ = _step(graph, scope, last)
    if len(group) > _BLOCK or graph.nodes[last.node].op not in _TENSORS:
        return None
    return Place(
        name=last.name,
        scope=scope,
        child=child,
        call=call,
        parameter="" if child else last.parameters[0],
        node=_output_node(graph, child, call, last),
        layers=len(group),
    )


def _output_node(graph: Graph, child: str, call: int, last: Unit) -> int:
    """Return the node of the tensor that comes out of the child: the last that it makes."""
    if not child:
        return last.node
    once = graph.calls.get(child, 0) == 1
    return max(
        (
            node.index
            for node in graph.nodes[last.node :]
            if (node.module == child or node.module.startswith(f"{child}."))
            and (once or node.call == call)
        ),
        default=last.node,
    )
