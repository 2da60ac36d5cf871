"""How each weight layer starts, how it should before its activation, and where skips would go."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from torch import nn

from .._remedies import GAINS, activation_kind
from .._results import LayerReading
from .._trace import Graph, Unit, chains

Ends: TypeAlias = tuple[tuple[str, str], ...]

# Layers that a skip goes around: with one it has no advantage, with three or more it starts
# flatter (He et al. 2015, 1512.03385).
_SPAN = 2
# A chain that loses less than this many decades has nothing to cure.
_WORTH_IT = 1.0
# Of a chain's whole loss, what may be lost at an end that is left without skips.
_LEFT = 0.05
# So many skips in a row at least: what one or two lose is left to the draw of the weights.
_IN_A_ROW = 3


@dataclass(frozen=True)
class Start:
    """The start that keeps the signal of one layer as large as it is.

    Attributes:
        layer: its name.
        before: the kind of activation it feeds: rectifier, tanh, sigmoid or none.
        inputs: how many numbers each of its outputs sums up.
        gain: of the activation, see `better_start`.
        spread: standard deviation that its weights have now.
    """

    layer: str
    before: str
    inputs: int
    gain: float
    spread: float

    @property
    def wanted(self) -> float:
        """The standard deviation to start with: the gain over the root of the inputs."""
        return self.gain / math.sqrt(self.inputs)


def read_starts(model: nn.Module, graph: Graph, norms: Mapping[str, float]) -> tuple[Start, ...]:
    """Return the starts of linear layers and convolutions.

    Args:
        model: that was traced.
        graph: of it.
        norms: `||W||` by the parameter's name.
    """
    shapes = {name: p.shape for name, p in model.named_parameters(remove_duplicate=False)}
    found = []
    for unit in graph.units:
        inputs = _inputs(graph, unit, shapes[unit.parameters[0]])
        if inputs:
            before = activation_kind(graph, unit)
            size = math.prod(shapes[unit.parameters[0]])
            spread = norms[unit.parameters[0]] / math.sqrt(size)
            found.append(Start(unit.name, before, inputs, GAINS[before], spread))
    return tuple(found)


def _inputs(graph: Graph, unit: Unit, shape: Sequence[int]) -> int:
    op = graph.nodes[unit.node].op
    if op in ("linear", "conv1d", "conv2d", "conv3d"):
        return math.prod(shape[1:])
    return shape[0] if op in ("matmul", "mm") and len(shape) == 2 else 0


def skip_places(graph: Graph, layers: Sequence[LayerReading]) -> tuple[Ends, ...]:
    """Return the ends of skips around every two layers, for each chain that loses gradient.

    They are those that `rewire` chooses by default; it knows more of what can be joined where,
    and may leave some out.
    """
    elastic = {layer.name: layer.elasticity for layer in layers}
    every: list[Ends] = []
    for run in chains(graph):
        taps = [unit.name for unit in run[::_SPAN] if graph.read_on[unit.node]]
        every += [tuple(pairwise(taps))] if len(taps) > 1 else []
    found = [tuple(_where_it_is_lost(list(skips), elastic)) for skips in every]
    # Where signal and gradient shrink together no chain loses more than another.
    return tuple(filter(None, found)) or tuple(every)


def _where_it_is_lost(
    skips: list[tuple[str, str]], elastic: Mapping[str, float]
) -> list[tuple[str, str]]:
    """Leave out both ends of a chain as far as next to nothing is lost there."""
    known = {
        ends: max(0.0, math.log10(elastic[ends[1]] / elastic[ends[0]]))
        for ends in skips
        if 0 < elastic[ends[0]] < math.inf and 0 < elastic[ends[1]] < math.inf
    }
    # Where nothing is left at all, nobody knows how much was lost.
    worst = max(known.values(), default=_WORTH_IT)
    drops = [known.get(ends, worst) for ends in skips]
    whole = sum(drops)
    if whole < _WORTH_IT:
        return []
    little = whole / len(drops) / 4
    start, end, lost = 0, len(skips), 0.0
    while drops[start] < little and lost + drops[start] <= _LEFT * whole:
        lost, start = lost + drops[start], start + 1
    lost = 0.0
    while drops[end - 1] < little and lost + drops[end - 1] <= _LEFT * whole:
        lost, end = lost + drops[end - 1], end - 1
    start = start if start >= _IN_A_ROW else 0
    end = end if len(skips) - end >= _IN_A_ROW else len(skips)
    return skips[start:end]
