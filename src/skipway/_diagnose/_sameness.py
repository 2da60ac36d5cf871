"""Batches all of whose targets are the same, by a fault or by chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def same_targets(parts: Sequence[tuple[Any, int]]) -> bool:
    """Tell whether one target stands for every sample of all these batches of pairs."""
    every = [(part[1], size) for part, size in parts]
    if not all(isinstance(each, Tensor) and each.dim() and len(each) for each, _ in every):
        return False
    first = every[0][0][:1]
    return all(
        len(each) == size and each.shape[1:] == first.shape[1:] and bool((each == first).all())
        for each, size in every
    )


def one_of_two(output: Any, targets: Any) -> bool:
    """Tell whether targets that are all the same say one of yes and no.

    Of two answers one may be so rare that a batch holds none of it. Of ten it is not.
    """
    if not bool(((targets == 0) | (targets == 1)).all()):
        return False
    if targets.is_floating_point() or targets.dtype == torch.bool:
        return True
    return isinstance(output, Tensor) and output.dim() > 1 and output.shape[1] <= 2
