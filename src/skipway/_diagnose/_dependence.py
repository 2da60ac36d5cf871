"""Do the targets depend on the inputs at all? A permutation test that needs no network."""

from __future__ import annotations

import torch
from torch import Tensor

_PERMUTATIONS = 199


def dependence(inputs: Tensor, targets: Tensor) -> float:
    """Return the p-value of "the targets are independent of the inputs".

    Distance covariance (Székely, Rizzo and Bakirov 2007), judged by permuting the targets. For
    classes two targets are 0 apart when equal and 1 otherwise.

    Args:
        inputs: `(batch, ...)`, floating point.
        targets: `(batch, ...)`, classes as integers or values.
    """
    left = _centred(torch.cdist(_flat(inputs), _flat(inputs)))
    if targets.is_floating_point():
        right = _centred(torch.cdist(_flat(targets), _flat(targets)))
    else:
        rows = targets.reshape(len(targets), -1)
        right = _centred((rows[:, None] != rows[None]).any(-1).double())
    found = float((left * right).sum())
    generator = torch.Generator().manual_seed(0)
    higher = 0
    for _ in range(_PERMUTATIONS):
        order = torch.randperm(len(right), generator=generator).to(right.device)
        higher += float((left * right[order][:, order]).sum()) >= found
    return (1 + higher) / (1 + _PERMUTATIONS)


def _flat(values: Tensor) -> Tensor:
    return values.detach().double().reshape(len(values), -1)


def _centred(distances: Tensor) -> Tensor:
    rows, columns = distances.mean(0, keepdim=True), distances.mean(1, keepdim=True)
    return distances - rows - columns + distances.mean()
