"""Parameters that a forward writes to, as a slow mean of others does, put back afterwards.

Copying every parameter before a run would double the memory of a large model, so each one is
copied where a call is about to write to it, and only then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ._calls import tensors
from ._kept import Restore, tensor_state

# Runs that are under way, the innermost last; each with the values of what was written to.
_RUNS: list[dict[int, Restore]] = []
_IN_PLACE = {"__setitem__", "__iadd__", "__isub__", "__imul__", "__itruediv__", "__ipow__"}


def keeping() -> Restore:
    """Begin to keep what is written to, and return what puts it back."""
    _RUNS.append({})

    def restore() -> None:
        for each in _RUNS.pop().values():
            each()

    return restore


Places = Mapping[int, list[nn.Parameter]]


def places_of(model: nn.Module) -> Places:
    """Return the parameters of a model by where their numbers lie; several may share one place."""
    found: dict[int, list[nn.Parameter]] = {}
    for parameter in model.parameters():
        found.setdefault(_place(parameter), []).append(parameter)
    return found


def keep_written(
    func: Any, args: tuple[Any, ...], kwargs: Any, places: Callable[[], Places]
) -> None:
    """Copy the parameters of a model that a call is about to write to.

    Args:
        func: the call.
        args: that it gets.
        kwargs: that it gets.
        places: returns `places_of` the model.
    """
    name = getattr(func, "__name__", "")
    inside = name.endswith("_") and not name.endswith("__")
    if not _RUNS or not (inside or name in _IN_PLACE or "out" in kwargs):
        return
    written = [*tensors(args[:1]), *tensors(kwargs.get("out", ()))]
    with torch._C.DisableTorchFunction():
        for at in {_place(tensor) for tensor in written} - {0}:
            for parameter in places().get(at, ()):
                if id(parameter) not in _RUNS[-1]:
                    _RUNS[-1][id(parameter)] = tensor_state(parameter)


def _place(tensor: Tensor) -> int:
    """Return where the numbers of a tensor lie, as those of its views and `.data`, or 0."""
    try:
        return tensor.untyped_storage().data_ptr()
    except (RuntimeError, NotImplementedError):
        return 0  # sparse, or a tensor without memory of its own
