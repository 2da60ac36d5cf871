"""The dense block in inference: every norm is a scale and a shift.

A network as it is folds anew in each call, which costs a few percent of a pass over one image. It
cannot go stale: a cache would need to notice every change of a parameter or buffer, and a write
through `parameter.data` raises no version counter. What `models.fold` returns is folded once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ._forward import CONVOLVE
from ._matrix import Workspace, cut, longest, pieces, scale_shift_relu, to_image, to_rows
from ._plan import Plan, Step
from ._products import product
from ._tail import forward_tail

if TYPE_CHECKING:
    from .._folding._packed import Packed


@dataclass(frozen=True)
class FoldedStep:
    """One layer: `conv(relu(relu(h * scale + shift) expansion + bias))` of columns `read`.

    Attributes:
        read, write: columns of the buffer.
        scale, shift: of the first norm, `(columns,)` each.
        expansion, bias: of the bottleneck with its norm; None without one.
        convolution: weight of the last convolution.
        padding: of it.
        packed: the same weights as oneDNN reads them, where they are.
    """

    read: slice
    write: slice
    scale: Tensor
    shift: Tensor
    expansion: Tensor | None
    bias: Tensor | None
    convolution: Tensor
    padding: Any
    packed: Packed | None = None


def infer(plan: Plan, x: Tensor) -> Tensor:
    """Return what the block and its tail make of `x` with their running statistics."""
    norms = [norm for step in plan.steps for norm in step.layer.norms]
    norms += [plan.tail.norm] if plan.tail is not None else []
    folds = iter(fold(norms))
    steps = [folded_step(step, folds) for step in plan.steps]
    features = folded_features(steps, x, plan.given, plan.width)
    if plan.tail is None:
        return to_image(features, plan.batch, plan.sizes)
    own = list(next(folds))
    if plan.tail.convolution is not None:
        own.append(plan.tail.convolution.weight)
    return forward_tail(plan, features, own, Workspace(x))


def folded_step(step: Step, folds: Iterator[tuple[Tensor, Tensor]]) -> FoldedStep:
    """Fold one layer, whose norms are the next of `folds`."""
    scale, shift = next(folds)
    expansion, bias, last = None, None, step.layer.convolutions[-1]
    if len(step.layer.norms) == 2:
        scale2, bias = next(folds)
        expansion = step.layer.convolutions[0].weight.flatten(1) * scale2[:, None]
    return FoldedStep(
        step.read, step.write, scale, shift, expansion, bias, last.weight, last.padding
    )


def folded_features(steps: Sequence[FoldedStep], x: Tensor, given: slice, width: int) -> Tensor:
    """Return all features of a block as a matrix `(positions, width)`."""
    batch, sizes = x.shape[0], tuple(x.shape[2:])
    rows, convolve = to_rows(x), CONVOLVE[len(sizes) - 1]
    features, space = x.new_empty(rows.shape[0], width), Workspace(x)
    features[:, given] = rows
    for step in steps:
        inside = features[:, step.read]
        activated = _single if step.expansion is None else _bottleneck
        image = to_image(activated(step, inside, space), batch, sizes)
        if step.packed is not None:
            new = step.packed.convolve(image)
        else:
            new = convolve(image, step.convolution, padding=step.padding)
        features[:, step.write] = to_rows(new)
    return features


def _bottleneck(step: FoldedStep, inside: Tensor, space: Workspace) -> Tensor:
    assert step.expansion is not None
    rows, columns = inside.shape
    memory = space.take("activation", longest(rows, columns), columns)
    parts = []
    for piece in pieces(rows, columns):
        room = cut(memory, slice(0, piece.stop - piece.start))
        z = scale_shift_relu(cut(inside, piece), step.scale, step.shift, room)
        if step.packed is not None:
            parts.append(step.packed.expand(z, step.bias))
        else:
            parts.append(product(z, step.expansion, step.bias).relu_())
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _single(step: FoldedStep, inside: Tensor, space: Workspace) -> Tensor:
    room = space.take("second", *inside.shape)
    return scale_shift_relu(inside, step.scale, step.shift, room)


def fold(norms: list[Any]) -> list[tuple[Tensor, Tensor]]:
    """Return the scale and the shift that each norm is in eval mode."""
    # One vector for all of them: over a hundred norms, the calls are what takes the time.
    eps = {norm.eps for norm in norms}
    variances = [norm.running_var for norm in norms]
    if len(eps) > 1:
        variances = [each + norm.eps for each, norm in zip(variances, norms, strict=True)]
    deviation = torch.cat(variances).add_(eps.pop() if len(eps) == 1 else 0.0).sqrt_()
    scale = torch.cat([norm.weight for norm in norms]).div_(deviation)
    mean = torch.cat([norm.running_mean for norm in norms])
    shift = torch.cat([norm.bias for norm in norms]).addcmul_(mean, scale, value=-1)
    sizes = [norm.num_features for norm in norms]
    return list(zip(torch.split(scale, sizes), torch.split(shift, sizes), strict=True))


def exact_fold(norm: Any) -> tuple[Tensor, Tensor]:
    """Return one norm's scale and shift in float64, computed there."""
    scale = (norm.running_var.detach().double() + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.detach().double()
    shift = -norm.running_mean.detach().double() * scale
    return scale, shift if norm.bias is None else shift + norm.bias.detach().double()
