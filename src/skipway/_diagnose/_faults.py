"""What is broken: values, the way back, weights that cannot move; in names and words."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from torch import Tensor, nn

from .._trace import Graph
from .._trace._graph import Node
from .._trace._numbers_at import Numbers
from .._trace._probe import Probe
from . import _thresholds as limit
from ._facts import Facts
from ._normalised import over_two
from ._step import Move
from ._words import code

# What is constant between its jumps: autograd sends back zeros.
_FLAT = {"round", "floor", "ceil", "trunc", "fix", "sign", "sgn", "heaviside"}
_BEHIND = "a loss without a way back to the model's answers"


@dataclass(frozen=True)
class Weight:
    """The numbers of one parameter: its own norm, its gradient's, and whether it may learn."""

    norm: float
    gradient: float
    with_gradient: int
    size: int
    reached: bool
    requires_grad: bool
    held: bool
    narrow: int


def with_faults(
    facts: Facts,
    model: nn.Module,
    seen: Probe,
    weights: Mapping[str, Weight],
    first_name: Mapping[str, str],
    moves: Mapping[str, Move] | None,
    optimizer: bool,
) -> Facts:
    """Return `facts` with what is broken filled in."""
    own = {unit.name: first_name[unit.parameters[0]] for unit in seen.graph.units}
    zero = [n for n, p in own.items() if weights[p].norm == 0 and weights[p].gradient > 0]
    lost = _lost_behind(seen, weights)
    cut_off = tuple(own) if lost else _cut_off(seen, own, weights)
    moved = moves or {}
    return replace(
        facts,
        unfit=tuple(name for name, each in weights.items() if not math.isfinite(each.norm)),
        non_finite=_non_finite(seen),
        bad_gradient=_bad_gradient(seen, weights),
        cut=_BEHIND if lost else _cut(seen),
        cut_off=cut_off,
        cut_beside=_passable(seen.graph, set(cut_off)),
        cut_calls=_cut_calls(seen, own, weights),
        frozen=tuple(n for n, p in own.items() if not weights[p].requires_grad),
        unheld=tuple(n for n, p in own.items() if weights[p].requires_grad and not weights[p].held),
        zero_started=tuple(zero),
        weak_everywhere=not zero and _weak_everywhere(facts, own, weights),
        alike=_alike(model, own),
        over_two=over_two(model, seen.graph),
        through_time=_through_time(facts, seen.graph),
        passable=_passable(seen.graph, {layer.name for layer in facts.dying}),
        starved=_starved(seen),
        unchanged=tuple(
            (n, moved[p].size - moved[p].changed if p in moved else weights[p].size)
            for n, p in own.items()
            if optimizer
        ),
    )


def _weak_everywhere(facts: Facts, own: Mapping[str, str], weights: Mapping[str, Weight]) -> bool:
    """Tell whether no layer could change the loss, even if its weights had a usual size.

    A head that merely starts small has a small output, but its own weights get a whole gradient.
    """
    if facts.relative:
        return False
    layers = [layer for layer in facts.reached if layer.trainable]
    return bool(layers) and all(
        layer.elasticity < limit.WEAK_EVERYWHERE
        and layer.gradient * max(layer.weight, weights[own[layer.name]].narrow ** 0.5)
        < limit.WEAK_EVERYWHERE * facts.loss
        for layer in layers
    )


def _alike(model: nn.Module, own: Mapping[str, str]) -> tuple[str, ...]:
    """Return the layers all of whose units have the same weights, and not zeros."""
    parameters = dict(model.named_parameters(remove_duplicate=False))
    weights = {name: parameters[each].detach() for name, each in own.items()}
    several = {name: w for name, w in weights.items() if w.dim() and len(w) > 1}
    # The first two units tell nearly always, of all layers at once.
    numbers = Numbers()
    for name, weight in several.items():
        numbers.put(name, 0, (weight[0] == weight[1]).all())
    first = numbers.resolve()
    return tuple(name for name, w in several.items() if first[name][0] and _same_rows(w))


def _same_rows(weight: Tensor) -> bool:
    return bool(weight.any()) and bool((weight == weight[:1]).all())


def _through_time(facts: Facts, graph: Graph) -> bool:
    dying = {layer.name for layer in facts.dying}
    modules = Counter(u.module for u in graph.units if u.name in dying and u.shared)
    return bool(modules) and modules.most_common(1)[0][1] > len(dying) / 3


def _passable(graph: Graph, names: Collection[str]) -> bool:
    """Tell whether a way from an input to an output passes no layer of these names.

    Whole numbers are places (edges, lengths, whose a node is) until a layer looks them up.
    """
    layers = {unit.node for unit in graph.units}
    closed = {unit.node for unit in graph.units if unit.name in names}
    reached: set[int] = set()
    for node in graph.nodes:
        if node.op == "input":
            fed = node.dtype.startswith(("float", "bfloat", "complex"))
        else:
            known = not reached.isdisjoint(node.inputs)
            fed = known or (node.index in layers and _looks_up(graph, node))
        if fed and node.index not in closed:
            reached.add(node.index)
    return not reached.isdisjoint(graph.outputs)


def _looks_up(graph: Graph, node: Node) -> bool:
    return bool(node.inputs) and all(
        not graph.nodes[i].dtype.startswith(("float", "bfloat", "complex")) for i in node.inputs
    )


def _layer_before(graph: Graph, index: int) -> str:
    names = [unit.name for unit in graph.units if unit.node <= index]
    return names[-1] if names else "the input"


def _non_finite(seen: Probe) -> str | None:
    if seen.non_finite is None:
        return None if math.isfinite(seen.loss) else "in the loss itself, behind the last layer"
    node = seen.graph.nodes[seen.non_finite]
    own = [unit.name for unit in seen.graph.units if unit.node == node.index]
    if own:
        return f"in the output of {code(own[0])}"
    place = f"in {code(node.op)}"
    return f"{place}, behind {code(_layer_before(seen.graph, node.index))}"


def _bad_gradient(seen: Probe, weights: Mapping[str, Weight]) -> str | None:
    bad = [name for name, unit in seen.units.items() if not math.isfinite(unit.gradient)]
    if bad:
        return bad[-1]
    return next((name for name, each in weights.items() if not math.isfinite(each.gradient)), None)


def _cut(seen: Probe) -> str | None:
    flat = next((node.index for node in seen.graph.nodes if _is_flat(node)), None)
    at = flat if seen.cut is None else seen.cut
    if at is None:
        return None
    node = seen.graph.nodes[at]
    what = {"detach": "a `detach`", "get": "a `.data`", "numpy": "a `numpy`"}.get(node.op)
    if _is_flat(node):
        what = f"{code(node.op)}, whose slope is zero everywhere,"
    if what is None:
        what = f"{code(node.op)}, which runs without a gradient (`torch.no_grad`?),"
    own = [unit.name for unit in seen.graph.units if unit.node == node.index]
    if own:
        return f"{what} in {code(own[0])}"
    where = f" in {code(node.module)}" if node.module else ""
    return f"{what}{where} behind {code(_layer_before(seen.graph, node.index))}"


def _starved(seen: Probe) -> tuple[str, ...]:
    """Return the layers that read only zeros, where no way goes around them.

    A state that begins at zero comes from no layer, and so is nothing that got lost.
    """
    graph, layers = seen.graph, sum(1 << unit.node for unit in seen.graph.units)
    names = tuple(
        unit.name
        for unit in graph.units
        if seen.units[unit.name].reads_nothing and graph.ancestors(unit.node) & layers
    )
    return () if _passable(graph, names) else names


def _lost_behind(seen: Probe, weights: Mapping[str, Weight]) -> bool:
    """Tell whether the loss asks for a gradient of its own and reaches none of the parameters.

    So does one that is made anew from a number, or follows from a comparison.
    """
    learn = [each for each in weights.values() if each.requires_grad]
    return seen.connected and bool(learn) and not any(each.reached for each in learn)


def _cut_off(seen: Probe, own: Mapping[str, str], weights: Mapping[str, Weight]) -> tuple[str, ...]:
    """Return the layers whose every way to an output is cut.

    One with a free way to an output merely has no part in this loss: a second head beside it.
    """
    graph, free = seen.graph, _free(seen)
    found = []
    for unit in graph.units:
        weight = weights[own[unit.name]]
        if (
            weight.requires_grad
            and weight.gradient == 0
            and unit.node not in free
            and (unit.node in graph.used or seen.cut is not None)
        ):
            found.append(unit.name)
    return tuple(found)


def _cut_calls(
    seen: Probe, own: Mapping[str, str], weights: Mapping[str, Weight]
) -> tuple[str, ...]:
    """Return the calls whose every way is cut, of layers that get a gradient by another call.

    So does a stop-gradient on one of two views, and backpropagation through a part of time.
    """
    # Where a model is called several times, the loss may hold what one of the calls returned still.
    free = _free(seen, arrived=seen.graph.calls.get("", 1) > 1)
    return tuple(
        unit.name
        for unit in seen.graph.units
        if unit.shared and unit.node not in free and weights[own[unit.name]].gradient > 0
    )


def _free(seen: Probe, *, arrived: bool = False) -> set[int]:
    """Return the nodes from which a way that lets a gradient through leads to an output.

    Args:
        seen: the pass.
        arrived: whether outputs alone count that the loss sends a gradient to.
    """
    graph = seen.graph
    free = set(graph.outputs) & {node.index for node in graph.nodes if node.differentiable}
    if arrived:
        free &= seen.gradients_at.keys()
    for node in reversed(graph.nodes):
        if node.index in free and not _is_flat(node):
            free |= {i for i in node.inputs if graph.nodes[i].differentiable}
    return free


def _is_flat(node: Node) -> bool:
    return node.op.rstrip("_") in _FLAT and node.differentiable
