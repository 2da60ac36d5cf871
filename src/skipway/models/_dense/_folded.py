"""The dense block in inference: every norm is a scale and a shift, folded in each call.

Folding anew costs a few percent of a pass over one image. It cannot go stale: a cache would need
to notice every change of a parameter or buffer, and a write through `parameter.data` raises no
version counter.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ._forward import CONVOLVE
from ._matrix import Workspace, longest, pieces, scale_shift_relu, to_image, to_rows
from ._plan import Plan, Step
from ._products import product
from ._tail import forward_tail


def infer(plan: Plan, x: Tensor) -> Tensor:
    """Return what the block and its tail make of `x` with their running statistics."""
    norms = [norm for step in plan.steps for norm in step.layer.norms]
    norms += [plan.tail.norm] if plan.tail is not None else []
    folds = iter(fold(norms))
    features, space = x.new_empty(plan.rows, plan.width), Workspace(x)
    features[:, plan.given] = to_rows(x)
    for step in plan.steps:
        layer = _bottleneck if len(step.layer.norms) == 2 else _single
        new = layer(plan, step, features[:, step.read], folds, space)
        features[:, step.write] = to_rows(new)
    if plan.tail is None:
        return to_image(features, plan.batch, plan.sizes)
    own = list(next(folds))
    if plan.tail.convolution is not None:
        own.append(plan.tail.convolution.weight)
    return forward_tail(plan, features, own, space)


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


def _bottleneck(plan: Plan, step: Step, inside: Tensor, folds: Any, space: Workspace) -> Tensor:
    (scale, shift), (scale2, shift2) = next(folds), next(folds)
    expansion, convolution = step.layer.convolutions
    weight = expansion.weight.flatten(1) * scale2[:, None]
    columns = inside.shape[1]
    memory = space.take("activation", longest(plan.rows, columns), columns)
    parts = []
    for piece in pieces(plan.rows, columns):
        z = scale_shift_relu(inside[piece], scale, shift, memory[: piece.stop - piece.start])
        parts.append(product(z, weight, shift2).relu_())
    return _convolve(plan, convolution, parts[0] if len(parts) == 1 else torch.cat(parts))


def _single(plan: Plan, step: Step, inside: Tensor, folds: Any, space: Workspace) -> Tensor:
    scale, shift = next(folds)
    z = scale_shift_relu(inside, scale, shift, space.take("second", *inside.shape))
    return _convolve(plan, step.layer.convolutions[0], z)


def _convolve(plan: Plan, convolution: Any, rows: Tensor) -> Tensor:
    image = to_image(rows, plan.batch, plan.sizes)
    new: Tensor = CONVOLVE[len(plan.sizes) - 1](
        image, convolution.weight, padding=convolution.padding
    )
    return new
