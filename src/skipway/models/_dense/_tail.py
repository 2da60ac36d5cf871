"""What reads a whole block: its features as they are, a norm, or a transition.

In a transition the mean over 2 × 2 positions is taken before the 1 × 1 convolution instead of
behind it. Both are linear, so the result is the same, with a quarter of the products.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ._backward import Pass, total
from ._matrix import (
    Workspace,
    longest,
    mask,
    new_image,
    pieces,
    scale_shift_relu,
    to_image,
    to_rows,
)
from ._plan import Plan
from ._products import product, product_backward

POOL: tuple[Any, ...] = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)


def transition_rows(
    features: Tensor,
    scale: Tensor,
    shift: Tensor,
    batch: int,
    sizes: tuple[int, ...],
    space: Workspace,
) -> Tensor:
    """Return `pool(relu(features * scale + shift))` as a matrix."""
    rows, width = features.shape
    unit = rows // batch
    memory = space.take("activation", longest(rows, width, unit), width)
    pooled = []
    for piece in pieces(rows, width, unit):
        z = scale_shift_relu(features[piece], scale, shift, memory[: piece.stop - piece.start])
        image = to_image(z, z.shape[0] // unit, sizes)
        pooled.append(to_rows(POOL[len(sizes) - 1](image, 2)))
    return torch.cat(pooled) if len(pooled) > 1 else pooled[0]


def forward_tail(plan: Plan, features: Tensor, own: list[Tensor], space: Workspace) -> Tensor:
    """Return what the tail makes of a block's normalised (or folded) features."""
    assert plan.tail is not None
    if plan.tail.convolution is None:
        out = new_image(features, plan.batch, plan.width, plan.sizes)
        rows = torch.addcmul(own[1], features, own[0], out=to_rows(out))
        if plan.tail.relu:
            rows.relu_()
        return out
    pooled = transition_rows(features, own[0], own[1], plan.batch, plan.sizes, space)
    halved = tuple(size // 2 for size in plan.sizes)
    out = new_image(features, plan.batch, own[2].shape[0], halved)
    to_rows(out).copy_(product(pooled, own[2]))
    return out


def backward_tail(
    work: Pass, own: list[Tensor], needs: list[bool], gradient: Tensor
) -> list[Tensor | None]:
    """Start with what comes back through the tail; return its parameters' gradients."""
    tail = work.plan.tail
    if tail is None:
        work.gradient.zero_()
        work.raw = to_rows(gradient)
        return []
    if tail.convolution is not None:
        return _backward_transition(work, own, needs, gradient)
    inside, d = work.features.normalised, to_rows(gradient)
    if tail.relu:
        z = work.space.take("activation", *inside.shape)
        d = mask(d.clone(), scale_shift_relu(inside, own[0], own[1], z))
    torch.mul(d, own[0], out=work.gradient)
    dscale, dshift = (d * inside).sum(0), d.sum(0)
    return [dscale, dshift]


def _backward_transition(
    work: Pass, own: list[Tensor], needs: list[bool], gradient: Tensor
) -> list[Tensor | None]:
    plan, (scale, shift, weight) = work.plan, own
    inside, rows = work.features.normalised, to_rows(gradient)
    pooled = transition_rows(inside, scale, shift, plan.batch, plan.sizes, work.space)
    pooled, dmatrix = product_backward(rows, pooled, weight, needs_weight=needs[2])
    pooled.mul_(0.5 ** len(plan.sizes))
    unit, small = plan.rows // plan.batch, rows.shape[0] // plan.batch
    size = longest(plan.rows, plan.width, unit)
    activation = work.space.take("activation", size, plan.width)
    behind = work.space.take("behind", size, plan.width)
    sums = []
    for piece in pieces(plan.rows, plan.width, unit):
        images = slice(piece.start // unit, piece.stop // unit)
        z, d = activation[: piece.stop - piece.start], behind[: piece.stop - piece.start]
        scale_shift_relu(inside[piece], scale, shift, z)
        _spread(pooled[images.start * small : images.stop * small], d, plan.sizes)
        mask(d, z)
        sums += [d.sum(0), torch.mul(d, inside[piece], out=z).sum(0)]
        torch.mul(d, scale, out=work.gradient[piece])
    dweight = None if dmatrix is None else dmatrix.view_as(weight)
    return [total(sums[1::2]), total(sums[::2]), dweight]


def _spread(pooled: Tensor, out: Tensor, sizes: tuple[int, ...]) -> None:
    """Hand each pooled position's gradient to the positions it was the mean of."""
    width = out.shape[1]
    image = out.view(-1, *sizes, width)
    halved = [size // 2 for size in sizes]
    if any(size % 2 for size in sizes):
        out.zero_()
    pairs, lone = [image.shape[0]], [image.shape[0]]
    for axis, half in enumerate(halved, start=1):
        image = image.narrow(axis, 0, 2 * half)
        pairs += [half, 2]
        lone += [half, 1]
    for axis in reversed(range(1, len(sizes) + 1)):
        image = torch.unflatten(image, axis, (halved[axis - 1], 2))
    image.copy_(pooled.view(*lone, width).expand(*pairs, width))
