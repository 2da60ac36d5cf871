"""How each weight layer starts, how it should before its activation, and where skips would go."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from torch import nn

from .._remedies import GAINS, activation_kind, decades_lost, losing_part
from .._results import LayerReading
from .._trace import Graph, Unit, chains

Ends: TypeAlias = tuple[tuple[str, str], ...]

# Layers that a skip goes around: with one it has no advantage, with three or more it starts
# flatter (He et al. 2015, 1512.03385).
_SPAN = 2


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
    found = [skips[losing_part(decades_lost(skips, elastic))] for skips in every]
    # Where signal and gradient shrink together no chain loses more than another.
    return tuple(filter(None, found)) or tuple(every)
