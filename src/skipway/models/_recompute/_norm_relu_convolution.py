"""`conv(relu(norm(y)))`, which keeps `y` only."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .._first_derivative import first_derivative_only
from ._activation import activate, mask_, norm_backward, statistics, wanted
from ._geometry import Geometry


def norm_relu_convolution(y: Tensor, norm: nn.BatchNorm2d, conv: nn.Conv2d) -> Tensor:
    """Return `conv(relu(norm(y)))`, the norm in training mode; saved for the backward is `y`."""
    out: Tensor = _NormReluConvolution.apply(  # type: ignore[no-untyped-call]
        norm, Geometry.of(conv), y, norm.weight, norm.bias, conv.weight
    )
    return out


class _NormReluConvolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, norm: nn.BatchNorm2d, geometry: Geometry, y: Tensor, scale: Tensor,
        shift: Tensor, weight: Tensor,
    ) -> Tensor:  # fmt: skip
        mean, inverse = statistics(y, norm)
        ctx.geometry = geometry
        ctx.save_for_backward(y, scale, shift, weight, mean, inverse)
        return geometry.convolve(activate(y, scale, shift, mean, inverse), weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        first_derivative_only()
        y, scale, shift, weight, mean, inverse = ctx.saved_tensors
        needs = wanted(ctx.needs_input_grad, 2, 3, 4)
        a = activate(y, scale, shift, mean, inverse)
        needs_conv = [any(needs), ctx.needs_input_grad[5]]
        da, dweight = ctx.geometry.backward(gradient, a, weight, needs_conv)
        dnorm: Any = (None, None, None)
        if da is not None:
            dnorm = norm_backward(mask_(da, a), y, scale, mean, inverse, needs)
        return (None, None, *dnorm, dweight)
