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
from ._matrix import Workspace, cut, longest, mask, pieces, scale_shift_relu, to_image, to_rows
from ._plan import Plan, Step
from ._products import product_backward


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
    _units: tuple[Tensor, Tensor] | None = None

    def units(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return zeros and ones, a mean and a deviation that change nothing."""
        if self._units is None or self._units[0].shape != like.shape:
            self._units = torch.zeros_like(like), torch.ones_like(like)
        return self._units


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
    """Return the gradient of the features in these columns; `out` is memory of that shape."""
    inverse = work.features.inverse[columns]
    inside = work.space.take("inside", *out.shape)
    inside.copy_(work.features.normalised[:, columns])
    out.copy_(work.gradient[:, columns])
    zero, one = work.units(inverse)
    # Of features that are normalised already, with `inverse` in the place of the weight.
    new: Tensor = torch.ops.aten.native_batch_norm_backward(
        out, inside, inverse, None, None, zero, one, True, 0.0, [True, False, False]
    )[0]
    return new if work.raw is None else new.add_(work.raw[:, columns])


def _bottleneck(
    work: Pass, step: Step, own: list[Tensor], needs: list[bool], index: int
) -> list[Tensor | None]:
    scale, shift, expansion, scale2, shift2, weight = own
    mean, inverse = work.features.statistics[2 * index : 2 * index + 2]
    y = _output_of(work, step, own, index)
    slope = scale2 * inverse
    a = work.space.take("second", *y.shape)
    scale_shift_relu(y, slope, torch.addcmul(shift2, mean, slope, value=-1), a)
    da, dweight = _convolution(work, step, a, weight, needs[5])
    dscale2, dshift2 = norm_sums(mask(da, a), y, scale2, mean, inverse)
    back = norm_backward(slope, mean, inverse, dscale2, dshift2, y)
    dscale, dshift, dmatrix = _reduce(
        work, step.read, (da, y, *back), scale, shift, expansion, needs[2]
    )
    return [dscale, dshift, _like(dmatrix, expansion), dscale2, dshift2, dweight]


def _output_of(work: Pass, step: Step, own: list[Tensor], index: int) -> Tensor:
    """Return the 1 × 1 convolution's output: kept, or computed again."""
    if index in work.features.bottlenecks:
        return work.features.bottlenecks[index]
    scale, shift, expansion = own[:3]
    inside = work.features.normalised[:, step.read]
    return expand(inside, scale, shift, expansion, work.space)


def _reduce(
    work: Pass,
    read: slice,
    behind_norm: tuple[Tensor, ...],
    scale: Tensor,
    shift: Tensor,
    weight: Tensor,
    needs_weight: bool,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Go back through `relu(x̂ · scale + shift) W'` and the norm behind it, piece by piece.

    `behind_norm` is what makes `dy = slope · da + tilt · y + offset`.
    """
    da, y, slope, tilt, offset = behind_norm
    inside, gradient = work.features.normalised[:, read], work.gradient[:, read]
    rows, columns = inside.shape
    size, sums = longest(rows, columns), []
    products: list[Tensor] = []
    memory = work.space.take("dy", size, y.shape[1])
    activation = work.space.take("activation", size, columns)
    for piece in pieces(rows, columns):
        count = slice(0, piece.stop - piece.start)
        z, dy = cut(activation, count), cut(memory, count)
        x = cut(inside, piece)
        torch.addcmul(shift, x, scale, out=z).relu_()
        torch.addcmul(offset, cut(y, piece), tilt, out=dy).addcmul_(cut(da, piece), slope)
        d, dweight = product_backward(dy, z, weight, needs_weight=needs_weight)
        products += [dweight] if dweight is not None else []
        mask(d, z)
        sums += [d.sum(0), torch.mul(d, x, out=z).sum(0)]
        cut(gradient, piece).addcmul_(d, scale)
    return total(sums[1::2]), total(sums[::2]), total(products) if products else None


def total(parts: list[Tensor]) -> Tensor:
    """Add up what the pieces gave."""
    return parts[0] if len(parts) == 1 else torch.stack(parts).sum(0)


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
    new = project(work, step.write, new)
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


def norm_sums(
    gradient: Tensor, y: Tensor, scale: Tensor, mean: Tensor, inverse: Tensor
) -> tuple[Tensor, Tensor]:
    """Return `Σ gradient · ŷ` and `Σ gradient` of each channel, both in one pass."""
    _, dscale, dshift = torch.ops.aten.native_batch_norm_backward(
        gradient, y, scale, None, None, mean, inverse, True, 0.0, [False, True, True]
    )
    return dscale, dshift


def norm_backward(
    slope: Tensor, mean: Tensor, inverse: Tensor, dscale: Tensor, dshift: Tensor, y: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return `slope`, `tilt` and `offset` of `dy = slope · gradient + tilt · y + offset`.

    That is the backward of batch norm, `slope · (g − mean(g) − ŷ · mean(g ŷ))` with
    `slope = scale · inverse` and `ŷ = (y − mean) · inverse`, sorted by what it multiplies.
    """
    share = slope * (-1 / y.shape[0])
    tilt = share * inverse * dscale
    return slope, tilt, torch.addcmul(share * dshift, mean, tilt, value=-1)


def _like(matrix: Tensor | None, weight: Tensor) -> Tensor | None:
    return None if matrix is None else matrix.view_as(weight)
