"""`untouched(model)`: whatever happens inside, the caller's model is as it was before."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from ._kept import kept, tensor_state
from ._written import keeping

# What one thread puts back would be what another has just placed, and the random generators are
# the same for all.
_ONE_AT_A_TIME = threading.RLock()


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Restore the model and the random generators on leaving, also after an exception.

    Restored are every buffer (the object and its values), `.grad` and `requires_grad` of every
    parameter, each module's own train flag, attributes and hooks, what stands in the lists, dicts,
    arrays and tensors among the attributes, and the state of the random generators of Python, NumPy
    and torch. Parameter values are not copied: nothing here steps an optimizer on the caller's
    model; one that a recorded forward is about to write to is copied first. Other threads wait
    until it is left.
    """
    with _ONE_AT_A_TIME, ExitStack() as stack:
        stack.callback(random_state())
        stack.callback(keeping())
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
    contents = kept(attributes)
    contents += [tensor_state(buffer) for buffer in module.buffers(recurse=False)]

    def restore() -> None:
        if module.__dict__.keys() != attributes.keys() or any(
            module.__dict__[name] is not value for name, value in attributes.items()
        ):
            module.__dict__.clear()
            module.__dict__.update(attributes)
        for each in contents:
            each()

    return restore


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
