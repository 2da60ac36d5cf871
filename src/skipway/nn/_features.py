"""Work along the axis of the features, wherever it is."""

from __future__ import annotations

import contextlib

import torch
from torch import Tensor

from .._errors import SkipError


def along(vector: Tensor, x: Tensor, dim: int) -> Tensor:
    """Return `vector` shaped so that it meets axis `dim` of `x`.

    Raises:
        SkipError: `x` has no such axis, or another number of features there.
    """
    check_features(x, vector.shape[0], dim)
    return vector.reshape(-1, *(1,) * (x.ndim - 1 - dim % x.ndim))


def check_features(x: Tensor, features: int, dim: int) -> None:
    """Raise where `x` has no axis `dim` of `features` numbers.

    Raises:
        SkipError: it has not.
    """
    if not -x.ndim <= dim < x.ndim or x.shape[dim] != features:
        raise SkipError(
            f"There are to be {features} features along dim {dim}, and the tensor has the shape "
            f"{tuple(x.shape)}. Give dim=1 for (batch, channels, *positions), dim=-1 for tokens."
        )


def check_axis(x: Tensor, dim: int) -> None:
    """Raise where `x` has no axis `dim`.

    Raises:
        SkipError: it has not.
    """
    if not -x.ndim <= dim < x.ndim:
        raise SkipError(
            f"The features are to lie along dim {dim}, and the tensor has the shape "
            f"{tuple(x.shape)}. Give dim=1 for (batch, channels, *positions), dim=-1 for tokens."
        )


def features_to(x: Tensor, dim: int) -> Tensor:
    """Return `x` with its features, which are last, along `dim` and in memory as if made so.

    A branch must not tell one rule from another: `view` fails on a strided tensor, and a
    convolution rounds otherwise than on a contiguous one.
    """
    if dim % x.ndim == x.ndim - 1:
        return x.contiguous()
    # A copy, though contiguous() would do but for axes of length 1: it leaves them odd strides.
    return x.movedim(-1, dim).clone(memory_format=torch.contiguous_format)


def rms(x: Tensor, eps: float) -> Tensor:
    """Return the root mean square over the last axis, at least in float32.

    bfloat16 has 8 bits: a mean of squares taken in it would be wrong in the second digit.
    """
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    norm: Tensor = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
    return (norm.square() / x.shape[-1] + eps).sqrt()


def full_precision(x: Tensor) -> contextlib.AbstractContextManager[object]:
    """Return a block in which autocast leaves the stream in its own precision."""
    if torch.amp.is_autocast_available(x.device.type):
        return torch.autocast(x.device.type, enabled=False)
    return contextlib.nullcontext()
