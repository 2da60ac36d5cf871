"""`better_start`: weights that keep the size of a signal, whatever the activation does to it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .._case import Case, split
from .._errors import CaseError
from .._trace import Graph, Unit, observe
from ._activation import ACTIVATIONS, activation_kind

# Measured on 50-layer networks on digits (SGD; rates 0.01, 0.0316 and 0.1): tanh 90 % with gain
# 1 and 96 % with 1.05; sigmoid 12 to 56 % with 4 (the inverse of its slope at 0), 73 to 84 % with
# 4.6, 79 to 90 % with 5, 77 to 82 % with 5.5.
GAINS = {"rectifier": math.sqrt(2), "tanh": 1.05, "sigmoid": 5.0, "none": 1.0}


def better_start(case: Case) -> Case:
    """Return the case with its weight layers started as well as is known for their activations.

    Norms stay as they are, biases start at zero, and so do the places of a kernel beside its
    centre (delta-orthogonal, Xiao et al. 2018, 1806.05393). Before

    - a rectifier: mirrored orthogonal, `[[W, -W], [-W, W]]`, the "looks linear" start of Balduzzi
      et al. 2017 (1702.08591), so that the network is an isometry although half of its units are
      off; where that does not fit (an odd width), orthogonal with gain sqrt(2) (He et al. 2015,
      1502.01852);
    - tanh: orthogonal with gain 1.05 (Saxe et al. 2013, 1312.6120);
    - sigmoid: orthogonal with gain 5, and a bias that takes off the mean of 0.5 coming in.

    The rules and gains were picked for deep networks on digits by test accuracy, so as a control
    this start is, if anything, a little too strong there.

    Raises:
        CaseError: the case has an objective, or the model has no weight layer to start anew.

    Example:
        >>> from skipway import cases
        >>> model = better_start(cases.load("tanh-mlp")).model()
        >>> bool(model.head.bias.eq(0).all())
        True
    """
    if case.objective is not None:
        raise CaseError(
            f"Case {case.name!r} has an objective, so it is unknown which part of its batch the "
            "model takes, and its activations cannot be found."
        )
    inputs = split(case.replace(batch_size=2).batch())[0]
    return case.replace(model=_BetterStart(case.model, inputs))


@dataclass(frozen=True)
class _BetterStart:
    model: Callable[[], nn.Module]
    inputs: Any

    def __call__(self) -> nn.Module:
        model = self.model()
        _restart(model, observe(model, self.inputs))
        return model


def _restart(model: nn.Module, graph: Graph) -> None:
    """Start every linear and convolutional layer of `model` anew; see `better_start`.

    Raises:
        CaseError: there is none.
    """
    done: set[int] = set()
    mirrored: dict[int, int] = {}
    for unit in graph.units:
        layer = _layer(model, unit)
        if layer is None or id(layer) in done:
            continue
        done.add(id(layer))
        kind = activation_kind(graph, unit)
        source, before = _source(graph, unit)
        width = mirrored.get(source, 0)
        into = width > 0 and width == layer.weight.shape[1] and before == "rectifier"
        onto = kind == "rectifier" and not unit.shared and _mirrors(layer)
        _fill(layer, kind, before, into, onto)
        if onto:
            mirrored[unit.node] = layer.weight.shape[0]
    if not done:
        raise CaseError(
            f"The model ({type(model).__name__}) has no Linear or convolution layer of its own to "
            "start anew."
        )


def _layer(model: nn.Module, unit: Unit) -> Any:
    module = model.get_submodule(unit.module)
    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
    own = dict(module.named_parameters(recurse=False))
    return module if isinstance(module, kinds) and "weight" in own else None


def _mirrors(layer: Any) -> bool:
    return layer.weight.shape[0] % 2 == 0 and getattr(layer, "groups", 1) == 1


def _source(graph: Graph, unit: Unit) -> tuple[int, str]:
    """Return the weight layer before (-1 for none) and the activation between."""
    node, kind = graph.nodes[unit.node], "none"
    while node.inputs:
        node = graph.nodes[node.inputs[0]]
        if graph.unit_at(node.index) is not None:
            return node.index, kind
        kind = ACTIVATIONS.get(node.op.rstrip("_"), kind)
    return -1, kind


@torch.no_grad()
def _fill(layer: Any, kind: str, before: str, into: bool, onto: bool) -> None:
    rows, columns = layer.weight.shape[:2]
    if into or onto:
        # A mirrored layer carries its signal exactly, so it needs no gain; a first one that is
        # only mirrored outwards hands on `relu(s)` and `relu(-s)`, which together hold all of s.
        matrix = _orthogonal(rows // 2 if onto else rows, columns // 2 if into else columns, 1.0)
        matrix = torch.cat([matrix, -matrix], 1) if into else matrix
        matrix = torch.cat([matrix, -matrix], 0) if onto else matrix
    else:
        matrix = _orthogonal(rows, columns, GAINS[kind])
    weight = torch.zeros(layer.weight.shape)
    centre = [size // 2 for size in weight.shape[2:]]
    weight.view(rows, columns, -1)[:, :, _flat(centre, weight.shape[2:])] = matrix
    layer.weight.copy_(weight)
    if layer.bias is not None:
        layer.bias.zero_()
        if before == "sigmoid":
            layer.bias.copy_(-0.5 * matrix.sum(1))


def _flat(place: Sequence[int], shape: Sequence[int]) -> int:
    """Return where `place` is in a grid of this shape when it is laid out in a row."""
    index = 0
    for each, size in zip(place, shape, strict=True):
        index = index * size + each
    return index


def _orthogonal(rows: int, columns: int, gain: float) -> Tensor:
    matrix = torch.empty(rows, columns)
    nn.init.orthogonal_(matrix, gain)
    return matrix
