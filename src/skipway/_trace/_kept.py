"""What a module keeps beside its parameters and buffers, and a forward may change in place."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

# A cache, a list of losses, counts by expert: one within another too. What is longer or larger
# than this is data, rather than a note of what has passed.
_CONTAINERS = (list, dict, set, deque)
_LONG, _LARGE = 10_000, 1_000_000
# Their values are restored with the parameters, buffers and modules themselves.
_REGISTERED = {"_parameters", "_buffers", "_modules"}

Restore = Callable[[], None]


def kept(attributes: Mapping[str, Any]) -> list[Restore]:
    """Return what brings the contents of these attributes back to what they are now.

    Args:
        attributes: of a module, by name.
    """
    found: list[Restore] = []
    seen: set[int] = set()
    for name, value in attributes.items():
        if name in _REGISTERED:
            if isinstance(value, dict):  # torch.jit has one of its own, which nobody changes
                found.append(_container(value))
        else:
            _walk(value, found, seen)
    return found


def _walk(value: Any, found: list[Restore], seen: set[int]) -> None:
    if id(value) in seen:
        return
    if isinstance(value, Tensor):
        if _is_plain(value):
            found.append(tensor_state(value))
    elif isinstance(value, np.ndarray):
        if value.size <= _LARGE and value.flags.writeable and value.dtype != object:
            found.append(_array(value))
    elif isinstance(value, (*_CONTAINERS, tuple)):
        if not isinstance(value, tuple):
            found.append(_container(value))
        seen.add(id(value))
        if len(value) <= _LONG:
            for each in tuple(value.values() if isinstance(value, dict) else value):
                _walk(each, found, seen)
        return
    seen.add(id(value))


def _is_plain(tensor: Tensor) -> bool:
    if isinstance(tensor, nn.Parameter) or tensor.numel() > _LARGE or tensor.is_meta:
        return False
    return tensor.layout is torch.strided and not (tensor.is_inference() or tensor.is_quantized)


def tensor_state(tensor: Tensor) -> Restore:
    """Return what brings the values of a tensor back, where they are others by then.

    Its version stays: a backward that is still to come, of a pass before, takes it for changed
    otherwise, as it would the statistics of a batch normalisation.
    """
    value = tensor.detach().clone()

    def restore() -> None:
        if not _same(tensor, value):
            tensor.data.copy_(value)

    return restore


def _array(array: Any) -> Restore:
    value = array.copy()

    def restore() -> None:
        if array.tobytes() != value.tobytes():
            array[...] = value

    return restore


def _container(container: Any) -> Restore:
    content = container.copy()
    return lambda: _refill(container, content)


def _refill(container: Any, content: Any) -> None:
    if isinstance(container, (list, deque)):
        if len(container) != len(content) or any(
            a is not b for a, b in zip(container, content, strict=True)
        ):
            container.clear()
            container.extend(content)
    elif isinstance(container, dict):
        if list(container) != list(content) or any(
            container[key] is not content[key] for key in content
        ):
            container.clear()
            container.update(content)
    elif container != content:
        container.clear()
        container.update(content)


def _same(a: Tensor, b: Tensor) -> bool:
    if a.is_meta or a.layout is not torch.strided:
        return False
    # Compared as bytes: a NaN equals itself, and -0.0 is not 0.0.
    return torch.equal(_bytes(a), _bytes(b))


def _bytes(tensor: Tensor) -> Tensor:
    return tensor.detach().contiguous().view(-1).view(torch.uint8)
