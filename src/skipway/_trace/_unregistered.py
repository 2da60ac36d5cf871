"""Weights that a model computes with and does not know of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

_KNOWN = {"_parameters", "_buffers", "_modules"}


def unregistered(model: nn.Module) -> dict[str, Tensor]:
    """Return what asks for a gradient and is not among `model.parameters()`, by place.

    Looked through are the attributes of every module, and lists, tuples and dicts in them, for
    tensors, parameters and modules: `self.layers = [nn.Linear(8, 8)]` registers nothing.

    Args:
        model: stays as it is.
    """
    known = {id(parameter) for parameter in model.parameters()}
    modules = {id(module) for module in model.modules()}
    found: dict[str, Tensor] = {}
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            if name not in _KNOWN:
                place = f"{path}.{name}" if path else name
                for where, tensor in _inside(place, value, modules):
                    if tensor.is_leaf and tensor.requires_grad and id(tensor) not in known:
                        found.setdefault(where, tensor)
    return found


def _inside(
    place: str, value: Any, modules: set[int], deep: int = 2
) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield place, value
    elif isinstance(value, nn.Module):
        if id(value) not in modules:  # a registered one that is kept under a second name is known
            for name, parameter in value.named_parameters():
                yield f"{place}.{name}", parameter
    elif deep and isinstance(value, (list, tuple)):
        for index, each in enumerate(value):
            yield from _inside(f"{place}[{index}]", each, modules, deep - 1)
    elif deep and isinstance(value, dict):
        for key, each in value.items():
            yield from _inside(f"{place}[{key!r}]", each, modules, deep - 1)


def reached_of(loss: Tensor, weights: dict[str, Tensor]) -> tuple[tuple[str, int, int], ...]:
    """Return name, identity and size of those that the loss sends a gradient to.

    The way back is kept for another pass.

    Args:
        loss: with a gradient.
        weights: by name.
    """
    if not weights or not loss.requires_grad:
        return ()
    gradients = torch.autograd.grad(
        loss, list(weights.values()), allow_unused=True, retain_graph=True
    )
    pairs = zip(weights.items(), gradients, strict=True)
    return tuple(
        (name, id(weight), weight.numel())
        for (name, weight), gradient in pairs
        if gradient is not None and bool(gradient.any())
    )
