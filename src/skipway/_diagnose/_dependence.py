"""Do the targets depend on the inputs at all? A permutation test that needs no network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_PERMUTATIONS = 199
_MOST = 512  # samples; the work grows with their square
_NUMBERS = 2**24  # in the inputs that are looked at
_FEWEST = 64  # samples, however large each is
_KINDS = 1024  # of tokens that are told apart when they are counted


def dependence(inputs: Sequence[Tensor], targets: Sequence[Tensor]) -> float:
    """Return the p-value of "the targets are independent of the inputs".

    Twice the smaller one of two (Bonferroni's bound): distance covariance (Székely, Rizzo and
    Bakirov 2007), which sees what follows over the whole range of the inputs, and how far the
    targets of nearest neighbours are apart (Friedman and Rafsky 1983), which also sees what goes
    up and down many times over that range. Both are judged by permuting the targets, which holds
    whatever the distances are. Real numbers are as far apart as they are in space. Integers are
    names: samples differ in at how many places they have another one, and in how often each
    occurs, wherever that is.

    Args:
        inputs: each `(batch, ...)`.
        targets: each `(batch, ...)`.
    """
    room = _NUMBERS // sum(each[0].numel() for each in inputs)
    size = min(len(inputs[0]), _MOST, max(room, _FEWEST))
    near, apart = (_distances([each[:size] for each in both]) for both in (inputs, targets))
    left, right = _centred(near), _centred(apart)
    one = torch.arange(size, device=near.device)
    next_to = near.fill_diagonal_(torch.inf).argmin(1)
    generator = torch.Generator().manual_seed(0)
    orders = [torch.randperm(size, generator=generator) for _ in range(_PERMUTATIONS)]
    sums, gaps = [(left * right).sum()], [-apart[one, next_to].sum()]
    for order in (each.to(right.device) for each in orders):
        sums.append((left * right[order][:, order]).sum())
        gaps.append(-apart[order, order[next_to]].sum())
    return min(1.0, 2 * min(_share_above(sums), _share_above(gaps)))


def _share_above(values: list[Tensor]) -> float:
    """Return the share of values that are no lower than the first one, itself among them."""
    return float((torch.stack(values) >= values[0]).double().mean())


def mostly_new(inputs: Sequence[Tensor], half: int) -> bool:
    """Tell whether most names in the second half of these samples do not occur in the first.

    Of such names (of people, of things), nothing that is learned from one half can be of use for
    the other. Where any of the inputs are real numbers they may tell what the names do not.

    Args:
        inputs: each `(batch, ...)`.
        half: how many samples the first half has, and the second.
    """
    if any(each.is_floating_point() or each.is_complex() for each in inputs):
        return False
    seen = [torch.isin(each[half : 2 * half], each[:half]).double().mean() for each in inputs]
    return float(torch.stack(seen).mean()) < 0.5


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
