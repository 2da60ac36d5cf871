"""`with_learning_rate`: the step is too small or too large, not the network at fault."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from torch import nn
from torch.optim import Optimizer

from .._case import Case
from .._errors import CaseError


def with_learning_rate(case: Case, rate: float) -> Case:
    """Return the case with another learning rate for all its parameters.

    Raises:
        CaseError: the rate is not above zero.

    Example:
        >>> import torch
        >>> from skipway import cases
        >>> treated = with_learning_rate(cases.load("plain-mlp"), 0.1)
        >>> treated.make_optimizer([torch.nn.Parameter(torch.zeros(1))]).param_groups[0]["lr"]
        0.1
    """
    if not rate > 0 or not math.isfinite(rate):
        raise CaseError(f"A learning rate of {rate!r} trains nothing; give one above zero.")
    return case.replace(optimizer=_AtRate(case.optimizer, rate))


@dataclass(frozen=True)
class _AtRate:
    optimizer: Callable[[Iterable[nn.Parameter]], Optimizer]
    rate: float

    def __call__(self, parameters: Iterable[nn.Parameter]) -> Optimizer:
        optimizer = self.optimizer(parameters)
        for group in optimizer.param_groups:
            group["lr"] = self.rate
        return optimizer
