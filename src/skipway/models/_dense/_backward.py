"""The dense block in training mode, backwards.

With `x̂` the normalised features and `D_l` the gradient behind layer `l`'s affine part, everything
that layers and tail send back to a channel adds up in one matrix `G = Σ γ_l D_l`. The backward of
batch norm is linear in it, so one projection per channel is enough, at the time when no reader is
left:

    dx = inverse · (G − mean(G) − x̂ · mean(G x̂))

The two means could be had for nothing from `Σ γ_l dβ_l` and `Σ γ_l dγ_l`. They are taken from `G`
itself all the same, which costs little: so the rounding of `G` is in them, and what is sent on has
mean zero, as it must; an error in a mean is the same at every position and adds up further down.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ._forward import Features, expand
from ._matrix import Workspace, longest, mask, pieces, scale_shift_relu, to_image, to_rows
from ._plan import Plan, Step


@dataclass
class Pass:
    """One pass backwards over a block.

    Attributes:
        gradient: `(rows, width)`, `G`: what the readers have sent back so far.
        raw: `(rows, width)`, what came back to the features themselves, without a norm.
    """

    plan: Plan
    features: Features
    gradient: Tensor
    space: Workspace
    raw: Tensor | None = None


def backward_layers(work: Pass, parameters: list[Tensor], needs: list[bool]) -> list[Any]:
    """Return the gradients of all layers' parameters; the tail's must be in already."""
    counts = [3 * len(step.layer.norms) for step in work.plan.steps]
    end, bottlenecks = sum(counts), len(work.features.statistics) // 2
    found: list[Any] = []
    for step, count in zip(reversed(work.plan.steps), reversed(counts), strict=True):
        own, wanted = parameters[end - count : end], needs[end - count : end]
        if count == 6:
            bottlenecks -= 1
            found = _bottleneck(work, step, own, wanted, bottlenecks) + found
        else:
            found = _single(work, step, own, wanted) + found
        end -= count
    return found


def project(work: Pass, columns: slice, out: Tensor) -> Tensor:
    """Write the gradient of the features in these columns into `out`."""
    plan, inverse = work.plan, work.features.inverse[columns]
    inside = work.space.take("inside", *out.shape)
    inside.copy_(work.features.normalised[:, columns])
    out.copy_(work.gradient[:, columns])
    product, total = norm_sums(out, inside, torch.zeros_like(inverse), torch.ones_like(inverse))
    out.addcmul_(inside, product.mul_(-1 / plan.rows)).sub_(total.mul_(1 / plan.rows))
    out.mul_(inverse)
    if work.raw is not None:
        out.add_(work.raw[:, columns])
    return out


def _bottleneck(
    work: Pass, step: Step, own: list[Tensor], needs: list[bool], index: int
) -> list[Tensor | None]:
    scale, shift, expansion, scale2, shift2, weight = own
    mean, inverse = work.features.statistics[2 * index : 2 * index + 2]
    y = _output_of(work, step, own, index)
    slope = scale2 * inverse
    a = work.space.take("second", *y.shape)
    scale_shift_relu(y, slope, shift2 - mean * slope, a)
    da, dweight = _convolution(work, step, a, weight, needs[5])
    dscale2, dshift2 = _through_relu(da, a, y, mean, inverse)
    back = norm_backward(scale2, mean, inverse, dscale2, dshift2, y)
    matrix = expansion.flatten(1)
    dscale, dshift, dmatrix = _reduce(
        work, step.read, (da, y, *back), scale, shift, matrix, needs[2]
    )
    return [dscale, dshift, _like(dmatrix, expansion), dscale2, dshift2, dweight]


def _through_relu(
    da: Tensor, a: Tensor, y: Tensor, mean: Tensor, inverse: Tensor
) -> tuple[Tensor, Tensor]:
    """Mask `da` in place; return the gradients of scale and shift of the norm before the ReLU."""
    dscale, dshift = torch.zeros_like(mean), torch.zeros_like(mean)
    for piece in pieces(*a.shape):
        mask(da[piece], a[piece])
        more = norm_sums(da[piece], y[piece], mean, inverse)
        dscale += more[0]
        dshift += more[1]
    return dscale, dshift


def _output_of(work: Pass, step: Step, own: list[Tensor], index: int) -> Tensor:
    """Return the 1 × 1 convolution's output: kept, or computed again."""
    if work.features.bottlenecks:
        return work.features.bottlenecks[index]
    scale, shift, expansion = own[:3]
    y = work.space.take("bottleneck", work.plan.rows, expansion.shape[0])
    inside = work.features.normalised[:, step.read]
    expand(inside, scale, shift, expansion.flatten(1), y, work.space)
    return y


def _reduce(
    work: Pass,
    read: slice,
    behind_norm: tuple[Tensor, ...],
    scale: Tensor,
    shift: Tensor,
    matrix: Tensor,
    needs_weight: bool,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Go back through `relu(x̂ · scale + shift) W'` and the norm behind it, piece by piece.

    `behind_norm` is what makes `dy = slope · da + tilt · y + offset`.
    """
    da, y, slope, tilt, offset = behind_norm
    inside, gradient = work.features.normalised[:, read], work.gradient[:, read]
    rows, columns = inside.shape
    dmatrix = torch.zeros_like(matrix) if needs_weight else None
    dscale, dshift = torch.zeros_like(scale), torch.zeros_like(shift)
    size = longest(rows, columns)
    memory = work.space.take("dy", size, y.shape[1])
    activation = work.space.take("activation", size, columns)
    behind = work.space.take("behind", size, columns)
    for piece in pieces(rows, columns):
        z, d = activation[: piece.stop - piece.start], behind[: piece.stop - piece.start]
        scale_shift_relu(inside[piece], scale, shift, z)
        dy = torch.addcmul(offset, y[piece], tilt, out=memory[: len(z)]).addcmul_(da[piece], slope)
        if dmatrix is not None:
            dmatrix.addmm_(dy.t(), z)
        torch.mm(dy, matrix, out=d)
        mask(d, z)
        dshift += d.sum(0)
        dscale += torch.mul(d, inside[piece], out=z).sum(0)
        gradient[piece].addcmul_(d, scale)
    return dscale, dshift, dmatrix


def _single(work: Pass, step: Step, own: list[Tensor], needs: list[bool]) -> list[Tensor | None]:
    scale, shift, weight = own
    inside, gradient = work.features.normalised[:, step.read], work.gradient[:, step.read]
    z = work.space.take("second", *inside.shape)
    scale_shift_relu(inside, scale, shift, z)
    d, dweight = _convolution(work, step, z, weight, needs[2])
    mask(d, z)
    gradient.addcmul_(d, scale)
    dshift, dscale = d.sum(0), torch.mul(d, inside, out=z).sum(0)
    return [dscale, dshift, dweight]


def _convolution(
    work: Pass, step: Step, a: Tensor, weight: Tensor, needs_weight: bool
) -> tuple[Tensor, Tensor | None]:
    """Go back through a layer's last convolution, beginning at its own features."""
    plan, convolution = work.plan, step.layer.convolutions[-1]
    new = work.space.take("new", plan.rows, weight.shape[0])
    project(work, step.write, new)
    ones = [1] * len(plan.sizes)
    if weight.dim() == 4:  # oneDNN would do it for each of the two products
        weight = weight.contiguous(memory_format=torch.channels_last)
    da, dweight, _ = torch.ops.aten.convolution_backward(
        to_image(new, plan.batch, plan.sizes),
        to_image(a, plan.batch, plan.sizes),
        weight,
        None,
        ones,
        list(convolution.padding),
        ones,
        False,
        [0] * len(plan.sizes),
        1,
        [True, needs_weight, False],
    )
    return to_rows(da), dweight


def norm_sums(gradient: Tensor, y: Tensor, mean: Tensor, inverse: Tensor) -> tuple[Tensor, Tensor]:
    """Return `Σ gradient · ŷ` and `Σ gradient` of each channel, both in one pass."""
    _, dscale, dshift = torch.ops.aten.native_batch_norm_backward(
        gradient,
        y,
        torch.ones_like(mean),
        None,
        None,
        mean,
        inverse,
        True,
        0.0,
        [False, True, True],
    )
    return dscale, dshift


def norm_backward(
    scale: Tensor, mean: Tensor, inverse: Tensor, dscale: Tensor, dshift: Tensor, y: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return `slope`, `tilt` and `offset` of `dy = slope · gradient + tilt · y + offset`.

    That is the backward of batch norm, `scale · inverse · (g − mean(g) − ŷ · mean(g ŷ))` with
    `ŷ = (y − mean) · inverse`, sorted by what it multiplies.
    """
    slope = scale * inverse
    tilt = slope * inverse * dscale * (-1 / y.shape[0])
    return slope, tilt, slope * dshift * (-1 / y.shape[0]) - mean * tilt


def _like(matrix: Tensor | None, weight: Tensor) -> Tensor | None:
    return None if matrix is None else matrix.view_as(weight)
