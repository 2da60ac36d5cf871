"""Whether what two networks put out is the same, up to rounding."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def alike(a: Any, b: Any, atol: float) -> bool:
    """Tell whether two outputs of any kind hold the same tensors, to `1e-4` of their values.

    Args:
        a: an output: a tensor, or tensors in tuples, lists and dicts.
        b: another.
        atol: what they may differ by where their values are near zero.
    """
    if isinstance(a, Tensor):
        return isinstance(b, Tensor) and torch.allclose(a, b, rtol=1e-4, atol=atol, equal_nan=True)
    if isinstance(a, dict):
        same = isinstance(b, dict) and list(a) == list(b)
        return same and all(alike(a[key], b[key], atol) for key in a)
    if isinstance(a, (tuple, list)):
        same = type(a) is type(b) and len(a) == len(b)
        return same and all(alike(one, other, atol) for one, other in zip(a, b, strict=True))
    return type(a) is type(b)
