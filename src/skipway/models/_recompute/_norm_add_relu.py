"""`relu(shortcut + norm(y))`, which keeps `y` and the result."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .._first_derivative import first_derivative_only
from ._activation import (
    add_,
    affine,
    masked,
    norm_backward,
    statistics,
    wanted,
)


def norm_add_relu(y: Tensor, norm: nn.BatchNorm2d, shortcut: Tensor | None) -> Tensor:
    """Return `relu(shortcut + norm(y))`, the norm in training mode, or without a shortcut."""
    out: Tensor = _NormAddRelu.apply(norm, y, norm.weight, norm.bias, shortcut)  # type: ignore[no-untyped-call]
    return out


class _NormAddRelu(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, norm: nn.BatchNorm2d, y: Tensor, scale: Tensor, shift: Tensor,
        shortcut: Tensor | None,
    ) -> Tensor:  # fmt: skip
        mean, inverse = statistics(y, norm)
        out = add_(affine(y, scale, shift, mean, inverse), shortcut).relu_()
        ctx.save_for_backward(y, scale, mean, inverse, out)
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        first_derivative_only()
        y, scale, mean, inverse, out = ctx.saved_tensors
        dz = masked(gradient, out)
        needs = wanted(ctx.needs_input_grad, 1, 2, 3)
        dnorm = norm_backward(dz, y, scale, mean, inverse, needs)
        return (None, *dnorm, dz if ctx.needs_input_grad[4] else None)
