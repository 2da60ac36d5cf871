"""Whether two networks compute the same: run both on the same random numbers."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ..._case import call
from ..._trace import untouched
from .._alike import alike


def same_outputs(model: nn.Module, other: nn.Module, inputs: Any) -> bool:
    """Tell whether both put out the same in evaluation, up to rounding."""
    return alike(_output(model, inputs), _output(other, inputs), atol=1e-5)


def _output(model: nn.Module, inputs: Any) -> Any:
    with untouched(model), torch.no_grad():
        for module in model.modules():
            module.training = False
        torch.manual_seed(0)
        return call(model, inputs)
