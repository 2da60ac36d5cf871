"""What one call of a dense block will do: every question about modes, hooks and shapes, once.

The fast paths hand a block's arithmetic to one function. They may do so only where that function
gives the numbers that the modules would give, so whatever is not known to be the same is refused
with a reason, and the modules run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

from torch import Tensor, nn

from .._ordinary import (
    any_watched,
    is_watched,
    needs_gradient,
    unusual_input,
    unusual_norm,
    unusual_weights,
)
from ._parts import CONVOLUTIONS, Layer, Tail, read_layers

Memory = Literal["fast", "lean", "plain"]


class Refused(Exception):  # noqa: N818  # nothing is wrong
    """The modules have to run; the message says why."""


@dataclass(frozen=True)
class Step:
    """One layer in the buffer: the columns it reads, and those it writes."""

    layer: Layer
    read: slice
    write: slice


@dataclass(frozen=True)
class Plan:
    """A block in numbers: what one pass over it needs besides the tensors."""

    steps: tuple[Step, ...]
    tail: Tail | None
    batch: int
    sizes: tuple[int, ...]
    given: slice  # the columns of the block's input
    width: int  # of the whole buffer
    eps: float  # of every norm that reads features
    training: bool
    needs_gradient: bool

    @property
    def rows(self) -> int:
        """How many positions there are, over the whole batch."""
        return self.batch * math.prod(self.sizes)

    def parameters(self) -> list[Tensor]:
        """Return the parameters in the order in which the steps use them."""
        found: list[Tensor] = []
        for step in self.steps:
            for norm, convolution in zip(step.layer.norms, step.layer.convolutions, strict=True):
                found += [norm.weight, norm.bias, convolution.weight]
        if self.tail is not None:
            found += [self.tail.norm.weight, self.tail.norm.bias]
            if self.tail.convolution is not None:
                found.append(self.tail.convolution.weight)
        return found


def make_plan(block: nn.Module, tail: Tail | None, x: Tensor, *, prepend: bool = False) -> Plan:
    """Return the plan for `x`, or raise `Refused`.

    Args:
        block: the dense block.
        tail: what follows it and is computed with it.
        x: the block's input.
        prepend: whether a layer puts its features before what it has read, not behind.
    """
    refuse(unusual_input(x))
    layers = read_layers(block)
    if layers is None:
        raise Refused("a layer is no norm, ReLU and convolution")
    _check_hooks(block, tail)
    _check_input(x, layers)
    if any(layer.dropout > 0 and layer.root.training for layer in layers):
        raise Refused("dropout is on")
    norms = [norm for layer in layers for norm in layer.norms]
    norms += [tail.norm] if tail is not None else []
    training = _mode(norms)
    for norm in norms:
        refuse(unusual_norm(norm), "a norm")
    check_layers(layers, x.shape[1], x.dim() - 2)
    steps, given, width = _steps(layers, x.shape[1], prepend)
    eps = _shared_eps(layers, tail, training)
    _check_tail(tail, width, x)
    plan = Plan(steps, tail, x.shape[0], tuple(x.shape[2:]), given, width, eps, training, False)
    return _with_gradient(plan, x)


def refuse(reason: str, whom: str = "") -> None:
    """Raise `Refused` where there is a reason; `whom` is what it says it of."""
    if reason:
        raise Refused(f"{whom} {reason}".lstrip())


def _check_hooks(block: nn.Module, tail: Tail | None) -> None:
    for module in block._modules.values():
        if module is not None and any_watched(module):
            raise Refused(f"{_watched_name(block)} has a hook")
    if any(map(any_watched, tail.modules if tail is not None else ())):
        raise Refused("what follows the block has a hook")


def _watched_name(block: nn.Module) -> str:
    names = (name for name, module in block.named_modules() if name and is_watched(module))
    return str(next(names))


def _check_input(x: Tensor, layers: tuple[Layer, ...]) -> None:
    dims = CONVOLUTIONS.index(type(layers[0].convolutions[0])) + 1
    if x.dim() != dims + 2:
        raise Refused(f"the input has {x.dim()} axes, not {dims + 2}")
    if x.shape[0] * math.prod(x.shape[2:]) < 2:
        raise Refused("there is only one position, or none")


def _mode(norms: list[Any]) -> bool:
    modes = {bool(norm.training) for norm in norms}
    if len(modes) > 1:
        raise Refused("some norms are in training mode and others are not")
    return modes.pop()


def _steps(
    layers: tuple[Layer, ...], width: int, prepend: bool
) -> tuple[tuple[Step, ...], slice, int]:
    growths = [layer.convolutions[-1].out_channels for layer in layers]
    total = width + sum(growths)
    steps, seen = [], width
    for layer, growth in zip(layers, growths, strict=True):
        if prepend:
            read, write = slice(total - seen, total), slice(total - seen - growth, total - seen)
        else:
            read, write = slice(0, seen), slice(seen, seen + growth)
        steps.append(Step(layer, read, write))
        seen += growth
    given = slice(total - width, total) if prepend else slice(0, width)
    return tuple(steps), given, total


def check_layers(layers: tuple[Layer, ...], width: int, dims: int) -> None:
    """Raise `Refused` where a layer does not read everything, or is of an unusual kind."""
    for layer in layers:
        _check_layer(layer, width, dims)
        width += layer.convolutions[-1].out_channels


def _check_layer(layer: Layer, seen: int, dims: int) -> None:
    first = layer.convolutions[0]
    if first.in_channels != seen or layer.norms[0].num_features != seen:
        raise Refused(f"a layer reads {first.in_channels} channels where there are {seen}")
    for convolution in layer.convolutions:
        check_convolution(convolution, dims)
    if len(layer.convolutions) == 2 and set(first.kernel_size) != {1}:
        raise Refused("a bottleneck is no 1 × 1 convolution")


def check_convolution(convolution: Any, dims: int) -> None:
    same = tuple((size - 1) // 2 for size in convolution.kernel_size)
    if (
        type(convolution) is not CONVOLUTIONS[dims - 1]
        or convolution.bias is not None
        or set(convolution.stride) != {1}
        or set(convolution.dilation) != {1}
        or convolution.groups != 1
        or convolution.padding != same
        or convolution.padding_mode != "zeros"
        or not all(size % 2 for size in convolution.kernel_size)
    ):
        raise Refused("a convolution has a bias, stride, dilation, groups or another padding")


def _shared_eps(layers: tuple[Layer, ...], tail: Tail | None, training: bool) -> float:
    readers = [layer.norms[0].eps for layer in layers]
    readers += [tail.norm.eps] if tail is not None else []
    # In inference every norm is folded by itself.
    if training and len(set(readers)) > 1:
        raise Refused("norms that share features differ in eps")
    return float(readers[0])


def _check_tail(tail: Tail | None, width: int, x: Tensor) -> None:
    if tail is None:
        return
    if tail.norm.num_features != width:
        raise Refused(f"the norm behind the block reads {tail.norm.num_features} channels")
    if tail.convolution is not None:
        check_convolution(tail.convolution, x.dim() - 2)
        if set(tail.convolution.kernel_size) != {1} or min(x.shape[2:]) < 2:
            raise Refused("what follows the block cannot be computed with it")


def _with_gradient(plan: Plan, x: Tensor) -> Plan:
    parameters = plan.parameters()
    refuse(unusual_weights(x, parameters), "the block")
    needs = needs_gradient(x, parameters)
    if needs and not plan.training:
        raise Refused("gradients in eval mode")
    return replace(plan, needs_gradient=needs)
