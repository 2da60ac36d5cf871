"""Do the answers depend on the order in which the samples of a batch come?

Of a network that looks at each sample by itself they do not, and neither do those of one that
compares samples (a batch's statistics, attention across it): in another order it gives the same
answers in that order. What reads along the batch in the place of time, or reshapes across it, does.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .._case import take
from .._trace._calls import tensors
from . import _thresholds as limit

_FEW = 4  # samples, which is enough to come in another order


class _Heard(nn.Module):
    """What a model answers, kept."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.answers = model, list[Tensor]()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        output = self.model(*args, **kwargs)
        self.answers += [
            each.detach().double()
            for each in tensors(output)
            if each.is_floating_point() and each.dim() and len(each) == _FEW
        ]
        return output


def order_counts(
    model: nn.Module, batch: Any, evaluate: Callable[[nn.Module, Any], Tensor]
) -> bool:
    """Tell whether the answers, in eval mode, depend on the order of the samples.

    Args:
        model: stays as it is.
        batch: inputs and targets, of `_FEW` samples or more.
        evaluate: the loss of a model and a batch.
    """
    heard = _Heard(copy.deepcopy(model).eval())
    there = torch.arange(_FEW)

    def answers(order: Tensor) -> list[Tensor]:
        heard.answers = []
        evaluate(heard, take(batch, order))
        return heard.answers

    with torch.no_grad():
        first, again, back = answers(there), answers(there), answers(there.flip(0))
    if not first or not all(torch.equal(a, b) for a, b in zip(first, again, strict=True)):
        return False  # nothing to compare, or what they depend on is a state or a dice
    return any(_apart(one, other.flip(0)) for one, other in zip(first, back, strict=True))


def _apart(one: Tensor, other: Tensor) -> bool:
    spread = torch.linalg.vector_norm(one - one.mean(0, keepdim=True))
    return bool(torch.linalg.vector_norm(one - other) > limit.ANOTHER * spread)


def row_by_row(parts: list[Tensor], size: int) -> bool:
    """Tell whether only the first dimension of the inputs counts samples.

    A square one (who is whose neighbour, a mask) has two, and an order of both.
    """
    return size >= _FEW and all(size not in each.shape[1:] for each in parts)
