"""`maxpool(relu(norm(y)))`, which keeps `y` only: no activation, and no 64-bit indices."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .._first_derivative import first_derivative_only
from ._activation import activate, mask_, norm_backward, statistics, wanted


def norm_relu_pool(y: Tensor, norm: nn.Module, pool: nn.Module) -> Tensor:
    """Return `pool(relu(norm(y)))`, the norm in training mode; saved for the backward is `y`."""
    assert isinstance(norm, nn.BatchNorm2d)
    assert isinstance(pool, nn.MaxPool2d)
    out: Tensor = _NormReluPool.apply(norm, pool, y, norm.weight, norm.bias)  # type: ignore[no-untyped-call]
    return out


class _NormReluPool(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, norm: nn.BatchNorm2d, pool: nn.MaxPool2d, y: Tensor, scale: Tensor, shift: Tensor
    ) -> Tensor:
        mean, inverse = statistics(y, norm)
        ctx.window = _window(pool)
        ctx.save_for_backward(y, scale, shift, mean, inverse)
        a = activate(y, scale, shift, mean, inverse)
        return torch.max_pool2d(a, *ctx.window)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        first_derivative_only()
        y, scale, shift, mean, inverse = ctx.saved_tensors
        a = activate(y, scale, shift, mean, inverse)
        _, places = torch.ops.aten.max_pool2d_with_indices(a, *ctx.window)
        da = torch.ops.aten.max_pool2d_with_indices_backward(gradient, a, *ctx.window, places)
        needs = wanted(ctx.needs_input_grad, 2, 3, 4)
        return (None, None, *norm_backward(mask_(da, a), y, scale, mean, inverse, needs))


def _window(pool: nn.MaxPool2d) -> tuple[list[int], list[int], list[int], list[int], bool]:
    sizes = (pool.kernel_size, pool.stride, pool.padding, pool.dilation)
    kernel, stride, padding, dilation = (
        list(size) if isinstance(size, tuple) else [size, size] for size in sizes
    )
    return kernel, stride, padding, dilation, pool.ceil_mode
