"""The stem before the first block: convolution, norm, ReLU and max-pool.

In training only the convolution's output is kept for the backward; what follows is cheap to
compute again. In inference the norm is folded into the convolution.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .._first_derivative import first_derivative_only
from .._ordinary import (
    any_watched,
    needs_gradient,
    unusual_input,
    unusual_norm,
    unusual_weights,
)
from ._backward import norm_backward, norm_sums
from ._folded import fold
from ._forward import unbiasing, update
from ._matrix import mask, moments, scale_shift_relu, to_image, to_rows
from ._parts import has_relu, is_norm
from ._plan import Refused, refuse


@dataclass(frozen=True)
class Stem:
    """The modules of a stem, the first `len(modules)` of a network."""

    modules: tuple[Any, ...]
    convolution: Any
    norm: Any
    pool: Any


def read_stem(modules: list[Any]) -> Stem | None:
    """Return the stem that these modules begin with, or None."""
    if len(modules) < 3 or type(modules[0]) is not nn.Conv2d or not is_norm(modules[1]):
        return None
    count = 3 if has_relu(modules[1]) else 4
    pool = modules[count - 1] if len(modules) >= count else None
    if count == 4 and type(modules[2]) is not nn.ReLU:
        return None
    if type(pool) is not nn.MaxPool2d or pool.return_indices or pool.ceil_mode:
        return None
    return Stem(tuple(modules[:count]), modules[0], modules[1], pool)


def run_stem(stem: Stem, x: Tensor) -> Tensor:
    """Return what the stem makes of `x`, or raise `Refused`."""
    refuse(unusual_input(x))
    norm, convolution = stem.norm, stem.convolution
    refuse(unusual_norm(norm), "a norm")
    parameters = [norm.weight, norm.bias, convolution.weight]
    if any(map(any_watched, stem.modules)):
        raise Refused("the stem has a hook")
    if x.dim() != 4:
        raise Refused("the input is no batch of images")
    refuse(unusual_weights(x, parameters), "the stem")
    last = x.contiguous(memory_format=torch.channels_last)
    if norm.training:
        convolved = convolution(last)
        if convolved.numel() // convolved.shape[1] < 2:
            raise Refused("there is only one position, or none")
        out: Tensor = _Stem.apply(stem, convolved, norm.weight, norm.bias)  # type: ignore[no-untyped-call]
        return out
    if needs_gradient(x, parameters):
        raise Refused("gradients in eval mode")
    return _infer(stem, last)


def _infer(stem: Stem, x: Tensor) -> Tensor:
    ((scale, shift),) = fold([stem.norm])
    convolution = stem.convolution
    if convolution.bias is not None:
        shift = shift + convolution.bias * scale
    weight = convolution.weight * scale[:, None, None, None]
    folded = convolution._conv_forward(x, weight, shift).relu_()
    return _pool(stem.pool, folded)


def _pool(pool: nn.MaxPool2d, x: Tensor) -> Tensor:
    return F.max_pool2d(x, pool.kernel_size, pool.stride, pool.padding, pool.dilation)


class _Stem(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, stem: Stem, c: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        norm = stem.norm
        rows = to_rows(c)
        mean, variance = moments(rows)
        update(norm, mean, variance * unbiasing(rows.shape[0]))
        inverse = (variance + norm.eps).rsqrt_()
        ctx.pool = stem.pool
        ctx.save_for_backward(c, weight, bias, mean, inverse)
        return _pool(stem.pool, _activated(c, weight, bias, mean, inverse))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        first_derivative_only("The fast path of the stem")
        c, weight, bias, mean, inverse = ctx.saved_tensors
        z = _activated(c, weight, bias, mean, inverse)
        d = mask(_unpool(ctx.pool, gradient, z), z)
        inside, rows = to_rows(c), to_rows(d)
        dweight, dbias = norm_sums(rows, inside, weight, mean, inverse)
        slope = weight * inverse
        _, tilt, offset = norm_backward(slope, mean, inverse, dweight, dbias, inside)
        torch.addcmul(offset, rows, slope, out=rows).addcmul_(inside, tilt)
        return None, to_image(rows, c.shape[0], tuple(c.shape[2:])), dweight, dbias


def _activated(c: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, inverse: Tensor) -> Tensor:
    scale, rows = weight * inverse, to_rows(c)
    z = scale_shift_relu(rows, scale, bias - mean * scale, torch.empty_like(rows))
    return to_image(z, c.shape[0], tuple(c.shape[2:]))


def _unpool(pool: Any, gradient: Tensor, z: Tensor) -> Tensor:
    sizes = [
        list(nn.modules.utils._pair(each))
        for each in (pool.kernel_size, pool.stride, pool.padding, pool.dilation)
    ]
    _, indices = torch.ops.aten.max_pool2d_with_indices(z, *sizes, False)
    unpooled: Tensor = torch.ops.aten.max_pool2d_with_indices_backward(
        gradient, z, *sizes, False, indices
    )
    return unpooled
