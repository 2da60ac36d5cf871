"""`untouched(model)`: whatever happens inside, the caller's model is as it was before."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

# What a module keeps in __dict__ that a forward may fill (a cache, a list of losses).
_CONTAINERS = (list, dict, set)
# What one thread puts back would be what another has just placed, and the random generators are
# the same for all.
_ONE_AT_A_TIME = threading.RLock()


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Restore the model and the random generators on leaving, also after an exception.

    Restored are every buffer (the object and its values), `.grad` and `requires_grad` of every
    parameter, each module's own train flag and attributes, its hooks, and the state of the
    random generators of Python, NumPy and torch. Parameter values are not copied: nothing here
    steps an optimizer on the caller's model. Other threads wait until it is left.
    """
    with _ONE_AT_A_TIME, ExitStack() as stack:
        stack.callback(random_state())
        for module in model.modules():
            stack.callback(_module_state(module))
        for parameter in model.parameters():
            stack.callback(_restore_parameter, parameter, parameter.grad, parameter.requires_grad)
        yield


def _restore_parameter(parameter: nn.Parameter, grad: Tensor | None, needs_grad: bool) -> None:
    parameter.grad = grad
    if parameter.requires_grad != needs_grad:
        parameter.requires_grad_(needs_grad)


def _module_state(module: nn.Module) -> Callable[[], None]:
    attributes = dict(module.__dict__)
    containers = [
        (value, value.copy()) for value in attributes.values() if isinstance(value, _CONTAINERS)
    ]
    buffers = [(buffer, buffer.detach().clone()) for buffer in module.buffers(recurse=False)]

    def restore() -> None:
        if module.__dict__.keys() != attributes.keys() or any(
            module.__dict__[name] is not value for name, value in attributes.items()
        ):
            module.__dict__.clear()
            module.__dict__.update(attributes)
        for container, content in containers:
            _refill(container, content)
        for buffer, value in buffers:
            if not _same(buffer, value):
                with torch.no_grad():
                    buffer.copy_(value)

    return restore


def _refill(container: Any, content: Any) -> None:
    if isinstance(container, list):
        if len(container) != len(content) or any(
            a is not b for a, b in zip(container, content, strict=True)
        ):
            container[:] = content
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


def random_state() -> Callable[[], None]:
    """Return what brings the random generators back to where they are now."""
    python, numpy, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()
    used = torch.cuda.is_available() and torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    cuda = torch.cuda.get_rng_state_all() if used else None

    def restore() -> None:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(cpu)
        if cuda is not None:
            torch.cuda.set_rng_state_all(cuda)

    return restore
