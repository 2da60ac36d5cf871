"""The end of a bottleneck, `relu(shortcut + norm₂(W relu(norm₁(y))))`, which keeps `y` and the sum.

What it does not keep is widest: the convolution's output `v = W a`, which the backward of the
second norm reads. With few positions `v` is computed again. With many it is not needed at all
where `W` is 1 × 1, because that backward is linear in it, with numbers for each channel:

    dv = k dz - u - t (v - mean)
    k = weight · inverse,   u = k mean(dz),   t = k inverse · mean(dz (v - mean) inverse)

and `v` is linear in `a`, so whatever is multiplied with `dv` needs `a` only, a quarter as wide.
With `M = Σ dz a'`, `G = Σ a a'`, `s = Σ dz` and `m = Σ a` over all positions:

    dbias   = s
    dweight = inverse · (rows of W ∘ M, summed, - mean · s)
    dW      = k M - (u - t mean) m' - t W G
    da      = (k W)' dz - W' (u - t mean) - (W' t W) a
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .._first_derivative import first_derivative_only
from ._activation import (
    activate,
    add_,
    affine,
    mask_,
    masked,
    norm_backward,
    statistics,
    wanted,
)
from ._geometry import Geometry

Gradients = tuple[Tensor | None, Tensor | None, Tensor, Tensor]


def norm_relu_convolution_norm_add_relu(
    y: Tensor, norm1: nn.BatchNorm2d, conv: nn.Conv2d, norm2: nn.BatchNorm2d,
    shortcut: Tensor | None,
) -> Tensor:  # fmt: skip
    """Return `relu(shortcut + norm2(conv(relu(norm1(y)))))`, or without a shortcut.

    Both norms are in training mode. Saved for the backward are `y` and the result.
    """
    parameters = (norm1.weight, norm1.bias, conv.weight, norm2.weight, norm2.bias)
    out: Tensor = _Tail.apply(norm1, Geometry.of(conv), norm2, y, *parameters, shortcut)  # type: ignore[no-untyped-call]
    return out


class _Tail(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        norm1: nn.BatchNorm2d,
        geometry: Geometry,
        norm2: nn.BatchNorm2d,
        y: Tensor,
        scale1: Tensor,
        shift1: Tensor,
        weight: Tensor,
        scale2: Tensor,
        shift2: Tensor,
        shortcut: Tensor | None,
    ) -> Tensor:
        first = statistics(y, norm1)
        v = geometry.convolve(activate(y, scale1, shift1, *first), weight)
        second = statistics(v, norm2)
        out = add_(affine(v, scale2, shift2, *second, out=v), shortcut).relu_()
        ctx.geometry = geometry
        ctx.save_for_backward(y, scale1, shift1, *first, weight, scale2, *second, out)
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        first_derivative_only()
        y, scale1, shift1, mean1, inverse1, weight, scale2, *second, out = ctx.saved_tensors
        needs = ctx.needs_input_grad
        needs_norm1 = wanted(needs, 3, 4, 5)
        dz = masked(gradient, out)
        a = activate(y, scale1, shift1, mean1, inverse1)
        short = ctx.geometry.pointwise and dz.numel() > dz.shape[1] ** 2
        through = _through_product if short else _through_convolution
        needs_conv = [any(needs_norm1), needs[6]]
        da, *rest = through(ctx.geometry, dz, a, weight, scale2, second, needs_conv)
        dnorm1: Any = (None, None, None)
        if da is not None:
            dnorm1 = norm_backward(mask_(da, a), y, scale1, mean1, inverse1, needs_norm1)
        return (None, None, None, *dnorm1, *rest, dz if needs[9] else None)


def _through_convolution(
    geometry: Geometry, dz: Tensor, a: Tensor, weight: Tensor, scale: Tensor,
    found: list[Tensor], needs: list[bool],
) -> Gradients:  # fmt: skip
    """Return the gradients of `a`, of the convolution's weight, the norm's weight and its bias."""
    v, (mean, inverse) = geometry.convolve(a, weight), found
    dv, dscale, dshift = norm_backward(dz, v, scale, mean, inverse, [True, True, True])
    assert dv is not None
    assert dscale is not None
    assert dshift is not None
    return *geometry.backward(dv, a, weight, needs), dscale, dshift


def _through_product(
    geometry: Geometry, dz: Tensor, a: Tensor, weight: Tensor, scale: Tensor,
    found: list[Tensor], needs: list[bool],
) -> Gradients:  # fmt: skip
    """Return the same without `v`; the letters are those at the top of this file."""
    mean, inverse = found
    rows, activations, matrix = _rows(dz), _rows(a), weight.flatten(1)
    count = rows.shape[0]
    products, total = rows.t() @ activations, rows.sum(0)
    dscale = inverse * ((matrix * products).sum(1) - mean * total)
    k = scale * inverse
    t = k * inverse * dscale / count
    offset = k * total / count - t * mean
    da = dmatrix = None
    if needs[0]:
        da = torch.addmm(-(offset @ matrix), rows, k[:, None] * matrix)
        da.addmm_(activations, matrix.t() @ (t[:, None] * matrix), alpha=-1)
        da = da.view(a.shape[0], *a.shape[2:], a.shape[1]).movedim(-1, 1)
    if needs[1]:
        dmatrix = k[:, None] * products - torch.outer(offset, activations.sum(0))
        dmatrix -= t[:, None] * (matrix @ (activations.t() @ activations))
        dmatrix = dmatrix.view_as(weight)
    return da, dmatrix, dscale, total


def _rows(image: Tensor) -> Tensor:
    """Return images as positions × channels, a view where the channels lie last."""
    return image.movedim(1, -1).reshape(-1, image.shape[1])
