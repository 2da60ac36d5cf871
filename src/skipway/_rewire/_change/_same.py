"""Whether two networks compute the same: run both on the same random numbers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..._case import call
from ..._trace import untouched


def same_outputs(model: nn.Module, other: nn.Module, inputs: Any) -> bool:
    """Tell whether both put out the same in evaluation, up to rounding."""
    return _close(_output(model, inputs), _output(other, inputs))


def _output(model: nn.Module, inputs: Any) -> Any:
    with untouched(model), torch.no_grad():
        for module in model.modules():
            module.training = False
        torch.manual_seed(0)
        return call(model, inputs)


def _close(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor):
        return isinstance(b, Tensor) and torch.allclose(a, b, rtol=1e-4, atol=1e-5, equal_nan=True)
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(_close(a[k], b[k]) for k in a)
    if isinstance(a, (tuple, list)):
        return type(a) is type(b) and len(a) == len(b) and all(map(_close, a, b))
    return type(a) is type(b)
