"""The reference made wider: is it the skip, or the parameters or the arithmetic that it costs?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from torch import nn

from .._errors import CaseError
from .._trace import observe
from ._normalised import CONVOLUTIONS, NORMS, checked, put, weight_layers

_MOST = 64.0


@dataclass(frozen=True)
class Widened:
    """A factory: the model with every hidden layer `factor` times as wide.

    Inputs and outputs keep their sizes; the new layers start as their classes do.
    """

    model: Callable[[], nn.Module]
    inputs: Any
    factor: float

    def __call__(self) -> nn.Module:
        """Build it.

        Raises:
            CaseError: it cannot be widened from outside; the message says why.
        """
        model = self.model()
        for name, layer in wider(layers_of(model, self.inputs), self.factor):
            put(model, name, layer)
        return checked(model, self.inputs, "when it is wider")


def factor_for(model: nn.Module, inputs: Any, parameters: int) -> float:
    """Return how much wider the hidden layers are where there are so many parameters in all.

    Raises:
        CaseError: it cannot be widened from outside; the message says why.
    """
    layers = layers_of(model, inputs)
    fixed = sum(each.numel() for each in model.parameters())
    fixed -= sum(each.numel() for _, layer in layers for each in layer.parameters())

    def size(factor: float) -> int:
        with torch.device("meta"):
            made = [layer for _, layer in wider(layers, factor)]
        return int(fixed + sum(each.numel() for layer in made for each in layer.parameters()))

    return _factor(size, parameters)


def factor_for_work(model: nn.Module, inputs: Any, ratio: float) -> float:
    """Return how much wider the hidden layers are where a forward has `ratio` times the arithmetic.

    Raises:
        CaseError: it cannot be widened from outside; the message says why.
    """
    layers = layers_of(model, inputs)
    places = _places(model, inputs)
    before = {name: layer.weight.numel() for name, layer in layers if name in places}
    whole = sum(places[name] * count for name, count in before.items())

    def work(factor: float) -> float:
        with torch.device("meta"):
            made: dict[str, Any] = dict(wider(layers, factor))
        return float(sum(places[name] * made[name].weight.numel() for name in before) / whole)

    return _factor(work, ratio)


def _factor(measure: Callable[[float], float], wanted: float) -> float:
    """Return the factor at which a measure that grows with it is nearest to what is wanted."""
    low, high = 1.0, _MOST
    while high - low > 1e-3:
        middle = (low + high) / 2
        low, high = (middle, high) if measure(middle) < wanted else (low, middle)
    return min(low, high, key=lambda factor: abs(measure(factor) - wanted))


def _places(model: nn.Module, inputs: Any) -> dict[str, int]:
    """Return at how many places each weight layer is applied: tokens, or positions of an image."""
    with torch.no_grad():
        nodes = observe(model, inputs).nodes
    found: dict[str, int] = {}
    for node in nodes:
        layer: Any = model.get_submodule(node.module)
        if type(layer) in (nn.Linear, *CONVOLUTIONS):
            found[node.module] = torch.Size(node.shape).numel() // layer.weight.shape[0]
    return found


Layers = Sequence[tuple[str, Any]]


def layers_of(model: nn.Module, inputs: Any) -> Layers:
    """Return every module that has parameters of its own, by name, in execution order.

    Raises:
        CaseError: one is of a kind that is not widened here, or the order is unclear.
    """
    weight_layers(model, inputs)  # refuses layers that are used twice, and networks without any
    with torch.no_grad():
        nodes = observe(model, inputs).nodes
    found: dict[str, Any] = {}
    for node in nodes:
        module = model.get_submodule(node.module)
        if not list(module.parameters(recurse=False)):
            continue
        if type(module) not in (nn.Linear, *CONVOLUTIONS) and not isinstance(module, NORMS):
            raise CaseError(f"`{node.module}` is a {type(module).__name__}, which has no width.")
        if getattr(module, "groups", 1) != 1:
            raise CaseError(f"`{node.module}` is a convolution in groups.")
        found[node.module] = module
    return list(found.items())


def wider(layers: Layers, factor: float) -> Iterator[tuple[str, nn.Module]]:
    """Yield each layer as it is when the hidden ones are `factor` times as wide."""
    weights = [name for name, layer in layers if not isinstance(layer, NORMS)]
    grown = Fraction(1)
    for name, layer in layers:
        if isinstance(layer, NORMS):
            yield name, _norm(layer, grown, name)
            continue
        out = layer.weight.shape[0]
        new = out if name == weights[-1] else max(1, round(out * factor))
        yield name, _layer(layer, _scaled(layer.weight.shape[1], grown, name), new)
        grown = Fraction(new, out)


def _layer(layer: Any, inside: int, outside: int) -> nn.Module:
    bias = layer.bias is not None
    if isinstance(layer, nn.Linear):
        return nn.Linear(inside, outside, bias, dtype=layer.weight.dtype)
    made: nn.Module = type(layer)(
        inside, outside, layer.kernel_size, layer.stride, layer.padding, layer.dilation, 1, bias,
        layer.padding_mode, dtype=layer.weight.dtype,
    )  # fmt: skip
    return made


def _norm(layer: Any, grown: Fraction, name: str) -> nn.Module:
    made: nn.Module
    if isinstance(layer, (nn.LayerNorm, nn.RMSNorm)):
        *rest, last = layer.normalized_shape
        if rest:
            raise CaseError(f"`{name}` normalises over more than the channels.")
        made = type(layer)(_scaled(last, grown, name), eps=layer.eps)  # type: ignore[arg-type]
    elif isinstance(layer, nn.GroupNorm):
        made = nn.GroupNorm(layer.num_groups, _scaled(layer.num_channels, grown, name), layer.eps)
    else:
        made = type(layer)(_scaled(layer.num_features, grown, name), layer.eps, layer.momentum)
    return made.to(layer.weight.dtype)


def _scaled(size: int, grown: Fraction, name: str) -> int:
    new = size * grown
    if new.denominator != 1:
        raise CaseError(f"`{name}` reads {size} features, which do not grow with the layer before.")
    return int(new)
