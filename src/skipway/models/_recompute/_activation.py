"""Batch norm and ReLU, forwards, again, and backwards."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..._errors import SkipError
from ...nn._fit import cannot_add


def channels_last(x: Tensor) -> Tensor:
    """Return images in the layout in which a CPU norms and convolves fastest."""
    return x.contiguous(memory_format=torch.channels_last) if x.device.type == "cpu" else x


def statistics(y: Tensor, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return each channel's mean and `1 / sqrt(variance + eps)`; count them in the running ones.

    Raises:
        ValueError: there is one position only; as `torch.nn.BatchNorm2d` has it.
    """
    if y.numel() == y.shape[1]:
        raise ValueError(f"Expected more than 1 value per channel when training, got {y.shape}")
    assert norm.num_batches_tracked is not None
    assert norm.momentum is not None
    norm.num_batches_tracked.add_(1)
    mean, variance = torch.batch_norm_update_stats(
        y, norm.running_mean, norm.running_var, norm.momentum
    )
    return mean, (variance + norm.eps).rsqrt_()


def affine(
    y: Tensor,
    weight: Tensor,
    bias: Tensor,
    mean: Tensor,
    inverse: Tensor,
    out: Tensor | None = None,
) -> Tensor:
    """Return `(y - mean) · inverse · weight + bias`, written into `out` if there is one."""
    scale = weight * inverse
    shift = bias - mean * scale
    return torch.addcmul(_channels(shift), y, _channels(scale), out=out)


def activate(y: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, inverse: Tensor) -> Tensor:
    """Return `relu((y - mean) · inverse · weight + bias)`.

    The backward calls it again, and gets the same bits.
    """
    return affine(y, weight, bias, mean, inverse).relu_()


def norm_backward(
    gradient: Tensor, y: Tensor, weight: Tensor, mean: Tensor, inverse: Tensor, needs: list[bool]
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Return the gradients of `y`, weight and bias behind the norm."""
    found: tuple[Tensor | None, Tensor | None, Tensor | None] = (
        torch.ops.aten.native_batch_norm_backward(
            gradient, y, weight, None, None, mean, inverse, True, 0.0, needs
        )
    )
    return found


def add_(y: Tensor, shortcut: Tensor | None) -> Tensor:
    """Add the shortcut to `y` in place, if there is one.

    Raises:
        SkipError: they differ in shape, which would be broadcast, or in dtype.
    """
    if shortcut is None:
        return y
    if y.shape != shortcut.shape:
        raise cannot_add(shortcut.shape, y.shape)
    if y.dtype != shortcut.dtype:
        raise SkipError(
            f'The shortcut is {shortcut.dtype}, the branch {y.dtype}, and memory="lean" adds only '
            'what is alike. Set memory = "plain" on the network.'
        )
    return y.add_(shortcut)


def masked(gradient: Tensor, activation: Tensor) -> Tensor:
    """Return the gradient, zero where the ReLU that gave `activation` was closed."""
    found: Tensor = torch.ops.aten.threshold_backward(gradient, activation, 0)
    return found


def mask_(gradient: Tensor, activation: Tensor) -> Tensor:
    """Do the same in place."""
    found: Tensor = torch.ops.aten.threshold_backward.grad_input(
        gradient, activation, 0, grad_input=gradient
    )
    return found


def wanted(needs: Any, *places: int) -> list[bool]:
    """Return which of these inputs need a gradient."""
    return [bool(needs[place]) for place in places]


def _channels(vector: Tensor) -> Tensor:
    return vector.view(-1, 1, 1)
