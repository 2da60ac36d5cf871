"""The dense block in training mode, forwards.

One matrix holds every feature of the block, already normalised: a channel's batch statistics are
the same for all layers that read it, only the affine part differs. So they are computed once per
channel, and layer `l` reads columns instead of a concatenation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ._matrix import Workspace, cut, longest, moments, pieces, scale_shift_relu, to_image, to_rows
from ._plan import Plan, Step
from ._products import product

CONVOLVE: tuple[Any, ...] = (F.conv1d, F.conv2d, F.conv3d)


@dataclass
class Features:
    """What a pass over a block has computed.

    Attributes:
        normalised: `(rows, width)`, every feature minus its mean, over its deviation.
        mean, variance, inverse: `(width,)` each; `inverse = 1 / sqrt(variance + eps)`.
        bottlenecks: the outputs of 1 × 1 convolutions that are kept, by the layer's number.
        statistics: mean and inverse deviation of each bottleneck's channels.
    """

    normalised: Tensor
    mean: Tensor
    variance: Tensor
    inverse: Tensor
    bottlenecks: dict[int, Tensor] = field(default_factory=dict)
    statistics: list[Tensor] = field(default_factory=list)


def forward(
    plan: Plan, x: Tensor, parameters: list[Tensor], *, keep: bool, raw: Tensor | None
) -> Features:
    """Compute a block's features and update its running statistics.

    Args:
        plan: of the block.
        x: the block's input.
        parameters: in the plan's order.
        keep: whether the bottlenecks are kept for the backward.
        raw: where the features themselves are written to, if they are asked for.
    """
    mean, variance, inverse = x.new_empty(3, plan.width)
    features = Features(x.new_empty(plan.rows, plan.width), mean, variance, inverse)
    workspace = Workspace(x)
    _add(plan, features, x, plan.given, raw)
    at = 0
    for step in plan.steps:
        count = 3 * len(step.layer.norms)
        own = parameters[at : at + count]
        layer = _bottleneck if count == 6 else _single
        new = layer(plan, step, features, own, workspace, keep)
        _add(plan, features, new, step.write, raw)
        at += count
    _update_readers(plan, features)
    return features


def expand(
    normalised: Tensor, scale: Tensor, shift: Tensor, weight: Tensor, space: Workspace
) -> Tensor:
    """Return `relu(normalised * scale + shift) W'`, computed piece by piece."""
    rows, columns = normalised.shape
    memory = space.take("activation", longest(rows, columns), columns)
    parts = []
    for piece in pieces(rows, columns):
        z = cut(memory, slice(0, piece.stop - piece.start))
        torch.addcmul(shift, cut(normalised, piece), scale, out=z).relu_()
        parts.append(product(z, weight))
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _bottleneck(
    plan: Plan,
    step: Step,
    features: Features,
    own: list[Tensor],
    space: Workspace,
    keep: bool,
) -> Tensor:
    scale, shift, expansion, scale2, shift2, weight = own
    columns, norm = expansion.shape[0], step.layer.norms[1]
    inside = features.normalised
    # From at most half as many channels it is computed again for less than it takes to keep.
    keep = keep and 2 * expansion.shape[1] > columns
    y = expand(inside[:, step.read], scale, shift, expansion, space)
    mean, variance = moments(y)
    update(norm, mean, variance * unbiasing(plan.rows))
    inverse = (variance + norm.eps).rsqrt_()
    scale = scale2 * inverse
    a = space.take("second", plan.rows, columns)
    scale_shift_relu(y, scale, torch.addcmul(shift2, mean, scale, value=-1), a)
    features.statistics += [mean, inverse]
    if keep:
        features.bottlenecks[len(features.statistics) // 2 - 1] = y
    return _convolve(plan, step, a, weight)


def _single(
    plan: Plan,
    step: Step,
    features: Features,
    own: list[Tensor],
    space: Workspace,
    keep: bool,
) -> Tensor:
    scale, shift, weight = own
    inside = features.normalised[:, step.read]
    a = space.take("second", *inside.shape)
    return _convolve(plan, step, scale_shift_relu(inside, scale, shift, a), weight)


def _convolve(plan: Plan, step: Step, rows: Tensor, weight: Tensor) -> Tensor:
    convolve = CONVOLVE[len(plan.sizes) - 1]
    image = to_image(rows, plan.batch, plan.sizes)
    new: Tensor = convolve(image, weight, padding=step.layer.convolutions[-1].padding)
    return new


def _add(plan: Plan, features: Features, image: Tensor, columns: slice, raw: Tensor | None) -> None:
    """Write new features into the buffer, normalised, and remember how."""
    rows = to_rows(image)
    mean, variance = moments(rows)
    inverse = (variance + plan.eps).rsqrt_()
    features.mean[columns], features.variance[columns] = mean, variance
    features.inverse[columns] = inverse
    shift = mean.mul_(inverse).neg_()
    torch.addcmul(shift, rows, inverse, out=features.normalised[:, columns])
    if raw is not None:
        to_rows(raw)[:, columns] = rows


def _update_readers(plan: Plan, features: Features) -> None:
    """Update the running statistics of every norm that reads features."""
    readers = [(step.layer.norms[0], step.read) for step in plan.steps]
    readers += [(plan.tail.norm, slice(None))] if plan.tail is not None else []
    unbiased = features.variance * unbiasing(plan.rows)
    for norm, columns in readers:
        update(norm, features.mean[columns], unbiased[columns])


def unbiasing(rows: int) -> float:
    """Return the factor from the biased variance over so many rows to the unbiased one."""
    return rows / (rows - 1)


def update(norm: Any, mean: Tensor, unbiased: Tensor) -> None:
    """Move a norm's running statistics as `torch.nn.BatchNorm2d` does."""
    norm.num_batches_tracked.add_(1)
    # Through `data`, so without a new version, as torch's kernel does: a call of this norm as a
    # module saves these two for a backward that does not read them in training mode.
    norm.running_mean.data.lerp_(mean, norm.momentum)
    norm.running_var.data.lerp_(unbiased, norm.momentum)
