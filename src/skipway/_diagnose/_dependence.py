"""Do the targets depend on the inputs at all? A permutation test that needs no network."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import torch
from torch import Tensor

_PERMUTATIONS = 199
_MOST = 512  # samples; the work grows with their square
_NUMBERS = 2**24  # in the inputs that are looked at
_FEWEST = 64  # samples, however large each is
_KINDS = 1024  # of tokens that are told apart when they are counted


def dependence(inputs: Sequence[Tensor], targets: Sequence[Tensor]) -> float:
    """Return the p-value of "the targets are independent of the inputs".

    Distance covariance (Székely, Rizzo and Bakirov 2007), judged by permuting the targets, which
    holds whatever the distances are. Real numbers are as far apart as they are in space. Integers
    are names: samples differ in at how many places they have another one, and in how often each
    occurs, wherever that is.

    Args:
        inputs: each `(batch, ...)`.
        targets: each `(batch, ...)`.
    """
    room = _NUMBERS // sum(each[0].numel() for each in inputs)
    size = min(len(inputs[0]), _MOST, max(room, _FEWEST))
    left, right = (
        _centred(_distances([each[:size] for each in both])) for both in (inputs, targets)
    )
    generator = torch.Generator().manual_seed(0)
    orders = [torch.randperm(size, generator=generator) for _ in range(_PERMUTATIONS)]
    others = (right[order][:, order] for order in (each.to(right.device) for each in orders))
    sums = torch.stack([(left * each).sum() for each in chain((right,), others)])
    higher = int((sums[1:] >= sums[0]).sum())
    return (1 + higher) / (1 + _PERMUTATIONS)


def _distances(parts: Sequence[Tensor]) -> Tensor:
    every = [one for each in parts for one in _apart(each.detach().reshape(len(each), -1))]
    # Each counts as much as any other, whatever its unit.
    scales = [each.mean().clamp_min(torch.finfo(each.dtype).tiny) for each in every]
    return torch.stack([each / scale for each, scale in zip(every, scales, strict=True)]).sum(0)


def _apart(rows: Tensor) -> list[Tensor]:
    if rows.is_complex():
        rows = torch.view_as_real(rows).flatten(1)
    if rows.is_floating_point():
        return [torch.cdist(rows.double(), rows.double())]
    _, names = torch.unique(rows, return_inverse=True)
    places = torch.cdist(names.double(), names.double(), p=0)
    if rows.shape[1] == 1:
        return [places]
    counts = torch.zeros(len(rows), _KINDS, dtype=torch.float64, device=rows.device)
    counts.scatter_add_(1, names % _KINDS, torch.ones_like(names, dtype=torch.float64))
    return [places, torch.cdist(counts, counts)]


def _centred(distances: Tensor) -> Tensor:
    rows, columns = distances.mean(0, keepdim=True), distances.mean(1, keepdim=True)
    return distances - rows - columns + distances.mean()
