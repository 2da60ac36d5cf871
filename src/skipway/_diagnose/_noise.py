"""How much of the answers is the network's own noise: dropout, samples that it draws."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .._trace._calls import tensors


class _Twice(nn.Module):
    """Calls the model twice on each input and keeps how far the answers are apart."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.shares = model, list[float]()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        output, other = (self.model(*args, **kwargs) for _ in range(2))
        for one, two in zip(tensors(output), tensors(other), strict=True):
            if one.is_floating_point() and one.dim() and len(one) > 1:
                self.shares.append(_share(one.detach().double(), two.detach().double()))
        return output


def _share(one: Tensor, two: Tensor) -> float:
    """Return how much of what differs between samples differs between passes as well."""
    within = (one - two).square().mean() / 2
    between = (one - one.mean(0, keepdim=True)).square().mean()
    return float(within / between) if between > 0 else 0.0


def noise_share(model: nn.Module, evaluate: Callable[[nn.Module], Tensor]) -> float:
    """Return the share of noise in the answers, the highest of several: 1 for nothing else.

    Args:
        model: stays as it is.
        evaluate: the loss of a model.
    """
    twice = _Twice(copy.deepcopy(model))
    with torch.no_grad():
        evaluate(twice)
    return max(twice.shares, default=0.0)
