"""Where a value can be tapped: in a forward that sees it, as the output of a module that it calls.

Two layers that one forward calls are tapped at their own outputs. Where they lie in different
blocks, the forward that calls both blocks holds the skip, and the blocks' outputs are what is
tapped and joined: `x = skip + self.blocks[3](x)`. What comes into a block from outside is tapped
as its argument.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..._trace import Graph, Unit

# Functions whose output is one tensor of features, where no module of its own holds the weight.
_TENSORS = {
    "linear", "bilinear", "matmul", "mm", "bmm", "addmm", "einsum", "embedding", "rnn_tanh_cell",
    "rnn_relu_cell", "gru_cell", "conv1d", "conv2d", "conv3d", "conv_transpose1d",
    "conv_transpose2d", "conv_transpose3d",
}  # fmt: skip


@dataclass(frozen=True)
class Place:
    """A value that one forward can hand on.

    Attributes:
        name: of the last weight layer that made it.
        scope: path of the module whose forward sees it.
        child: path of the module it comes out of; `""` where the scope multiplies by itself, and
            the scope's own path where it comes in from outside.
        call: which call of the child, from 0.
        parameter: name of the weight, where there is no child.
        node: of the tensor in the graph.
        item: its place in what the child returns, where that is a tuple.
        layers: how many weight layers it took since the place before.
        large: whether the child holds more layers than a skip goes around.
    """

    name: str
    scope: str
    child: str
    call: int
    parameter: str
    node: int
    item: int | None = None
    layers: int = 1
    large: bool = False

    @property
    def is_input(self) -> bool:
        """Tell whether it is what comes into the scope."""
        return bool(self.scope) and self.child == self.scope


def output_of(graph: Graph, scope: str, child: str, call: int, unit: Unit) -> Place | None:
    """Return the output of a module as a place of `scope`; `None` where it is no single tensor."""
    exit_ = graph.exits.get((child, call))
    if exit_ is None or exit_[0] < unit.node:
        return None
    node, item = exit_
    if len(graph.nodes[node].shape) < 2:
        return None
    return Place(unit.name, scope, child, call, "", node, item)


def product_of(graph: Graph, scope: str, unit: Unit) -> Place | None:
    """Return what a forward multiplies by itself as a place."""
    if graph.nodes[unit.node].op not in _TENSORS:
        return None
    return Place(unit.name, scope, "", 0, unit.parameters[0], unit.node)


def input_of(graph: Graph, scope: str) -> Place | None:
    """Return the first argument of a module as a place of its own forward."""
    node = graph.entries.get((scope, 0))
    if not scope or node is None or len(graph.nodes[node].shape) < 2:
        return None
    before = layer_before(graph, node)
    if before is None or before.module == scope or before.module.startswith(f"{scope}."):
        return None
    return Place(before.name, scope, scope, 0, "", node)


def layer_before(graph: Graph, node: int) -> Unit | None:
    """Return the weight layer that a tensor comes from; where several meet, the deepest way."""
    while graph.unit_at(node) is None:
        sources = graph.sources[node]
        if not sources:
            return None
        node = max(sources, key=lambda source: (graph.depths[source], source))
    return graph.unit_at(node)


def step_of(graph: Graph, scope: str, unit: Unit) -> tuple[str, int]:
    """Return the child of `scope` that runs the layer, and which call of it; `""` for itself."""
    if unit.module == scope:
        return "", 0
    for path in _paths_below(scope, unit.module):
        if graph.calls.get(path, 0) > 1:
            return path, unit.call
        if path in graph.calls:
            return path, 0
    return unit.module, unit.call


def outermost(graph: Graph, scope: str, unit: Unit, shape: Sequence[int] = ()) -> Place | None:
    """Return the output of the largest module below `scope` that ends with this layer.

    Args:
        graph: of the network.
        scope: path of the module whose forward has to see it.
        unit: the layer.
        shape: of the tensor, where one is expected: a block that pools at its end has another one
            than the layer in it. Where none fits, the largest module is taken.
    """
    found = list(_outputs(graph, scope, unit))
    fitting = [p for p in found if shape and graph.nodes[p.node].shape[1:] == tuple(shape[1:])]
    return next(iter(fitting or found), None)


def _outputs(graph: Graph, scope: str, unit: Unit) -> Iterator[Place]:
    """Yield the outputs of the modules below `scope` that end with this layer, largest first."""
    for path in _paths_below(scope, unit.module):
        inside = graph.units_in.get(path, ())
        shared = graph.calls.get(path, 0) > 1
        if path in graph.calls and (shared or (inside and inside[-1] == unit)):
            place = output_of(graph, scope, path, unit.call if shared else 0, unit)
            if place is not None:
                yield place
        if shared:
            return
    product = product_of(graph, scope, unit) if unit.module == scope else None
    if product is not None:
        yield product


def between(place: Place) -> list[str]:
    """Return the modules that lie between the scope and the child that a place comes out of."""
    return _paths_below(place.scope, place.child)[:-1] if not place.is_input else []


def common_scope(graph: Graph, units: Sequence[Unit]) -> str:
    """Return the innermost module, called once, that all these layers are called in."""
    shared = set.intersection(*(set(callers(graph, unit)) for unit in units))
    return max(shared, key=len)


def callers(graph: Graph, unit: Unit) -> list[str]:
    """Return the modules, called once, that the layer is called in, the outermost first."""
    return [path for path in ("", *_paths_below("", unit.module)) if graph.calls.get(path) == 1]


def _paths_below(scope: str, module: str) -> list[str]:
    """Return the paths from just below `scope` down to `module`."""
    parts = module.split(".") if module else []
    start = len(scope.split(".")) if scope else 0
    return [".".join(parts[:length]) for length in range(start + 1, len(parts) + 1)]
