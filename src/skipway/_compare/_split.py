"""The parts of a case's data: what is trained on, what the rate is chosen on, what is judged."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .._case import Case, Data, size

_SHARE = 0.2


@dataclass(frozen=True)
class Split:
    """Indices into `case.train`; the same for every seed and every variant.

    Attributes:
        train: what is trained on.
        validation: what the learning rate is chosen on.
    """

    train: Tensor
    validation: Tensor


def split_train(case: Case) -> Split:
    """Set one fifth of the training data aside, the same share of every class where there are.

    The split depends on the data's length and classes alone, so that variants share it.

    Example:
        >>> from skipway import cases
        >>> split = split_train(cases.load("plain-mlp"))
        >>> len(split.train), len(split.validation)
        (1121, 279)
    """
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(size(case.train), generator=generator)
    labels = class_labels(case.train)
    if labels is None or len(torch.unique(labels)) * 2 > len(labels):
        aside = max(1, round(len(order) * _SHARE))
        return Split(train=order[aside:], validation=order[:aside])
    labels = labels[order]
    chosen = torch.zeros(len(order), dtype=torch.bool)
    for label in torch.unique(labels):
        members = (labels == label).nonzero().flatten()
        chosen[members[: round(len(members) * _SHARE)]] = True
    if not chosen.any():
        chosen[0] = True
    return Split(train=order[~chosen], validation=order[chosen])


def class_labels(data: Data) -> Tensor | None:
    """Return the class index of every sample, `(n,)`, or `None` where there is no such thing."""
    if not isinstance(data, (tuple, list)) or not isinstance(data[1], Tensor):
        return None
    targets = data[1]
    whole = not (targets.is_floating_point() or targets.is_complex() or targets.dtype == torch.bool)
    return targets.detach().cpu() if whole and targets.dim() == 1 else None
