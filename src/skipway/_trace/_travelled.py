"""What a step did to one tensor: sums and counts in one pass over weights and gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ._numbers_at import as_real, wide

# One number for each, in this order: sums of squares of the weights, of the step and of the
# gradient, the inner product of step and gradient; then how many numbers have a gradient, how
# many of those moved, and how many changed at all.
TRAVELLED = ("weight", "step", "gradient", "progress", "with_gradient", "moved", "changed")
# Numbers that are widened to float64 at a time: larger pieces take more memory and no less time,
# smaller ones are not shared among threads.
_PIECE = 2**17


def travelled(old: Tensor, new: Tensor, slope: Tensor | None) -> Tensor:
    """Return `TRAVELLED` in float64, what it is of left alone.

    Args:
        old: weights before the step.
        new: weights after it, of the same shape and type.
        slope: their gradient, dense; `None` counts as zero.

    Returns:
        Seven numbers on the tensor's device. Complex numbers count as two.
    """
    parts = [old, new] if slope is None else [old, new, slope]
    flat = [_flat(each) for each in parts]
    # A tensor that is spread over processes brings its own reduction.
    if old.device.type == "cpu" and type(flat[0]) is Tensor:
        return torch.from_numpy(_on_host(flat))
    return _on_device(flat)


def _flat(tensor: Tensor) -> Tensor:
    return as_real(tensor).reshape(-1)


def _on_host(flat: list[Tensor]) -> np.ndarray[Any, np.dtype[np.float64]]:
    # torch widens and multiplies (NumPy's threads and torch's would wait for one another), NumPy
    # compares: each is several times the faster one at it.
    size = min(_PIECE, len(flat[0]))
    room = torch.empty(3, size, dtype=torch.float64)
    if len(flat) < len(room):
        room[2] = 0
    total = np.zeros(len(TRAVELLED))
    for start in range(0, len(flat[0]), _PIECE):
        pieces = [each[start : start + _PIECE] for each in flat]
        held = room[:, : len(pieces[0])]
        for own, piece in zip(held, pieces, strict=False):
            own.copy_(piece)
        weight, step, slope = held
        step.sub_(weight)
        total += [*map(float, _products(weight, step, slope)), *_counts(step, slope)]
    return total


def _products(weight: Tensor, step: Tensor, slope: Tensor) -> tuple[Tensor, ...]:
    dot = torch.dot
    return dot(weight, weight), dot(step, step), dot(slope, slope), dot(step, slope)


def _counts(step: Tensor, slope: Tensor) -> tuple[int, ...]:
    has, changed = slope.numpy() != 0, step.numpy() != 0
    return tuple(int(np.count_nonzero(each)) for each in (has, has & changed, changed))


def _on_device(flat: list[Tensor]) -> Tensor:
    kind = wide(flat[0])
    weight, new, *rest = (each.to(kind) for each in flat)
    slope = rest[0] if rest else torch.zeros_like(weight)
    step = new - weight
    has, changed = slope != 0, step != 0
    sums, count = _products(weight, step, slope), torch.count_nonzero
    counts = (count(each).to(kind) for each in (has, has & changed, changed))
    return torch.stack([*sums, *counts])
