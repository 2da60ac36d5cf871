"""`with_learning_rate`: the step is too small or too large, not the network at fault."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from torch import nn
from torch.optim import Optimizer

from .._case import Case
from .._errors import CaseError
from .._several_optimizers import joined, labels, parts


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
    _check(rate)
    return case.replace(optimizer=_AtRate(case.optimizer, rate))


def with_learning_rates(case: Case, rates: Mapping[str, float]) -> Case:
    """Return the case with other learning rates for some of its several optimizers.

    Args:
        case: whose optimizer function returns several.
        rates: by the name of the optimizer, `"AdamW"`; of two of one class, `"Adam 2"`.

    Raises:
        CaseError: a rate is not above zero.
    """
    for rate in rates.values():
        _check(rate)
    return case.replace(optimizer=_AtRates(case.optimizer, tuple(rates.items())))


def _check(rate: float) -> None:
    if not rate > 0 or not math.isfinite(rate):
        raise CaseError(f"A learning rate of {rate!r} trains nothing; give one above zero.")


@dataclass(frozen=True)
class _AtRate:
    optimizer: Callable[[Iterable[nn.Parameter]], Optimizer | Sequence[Optimizer]]
    rate: float

    def __call__(self, parameters: Iterable[nn.Parameter]) -> Optimizer:
        optimizer: Optimizer = joined(self.optimizer(parameters))
        for group in optimizer.param_groups:
            group["lr"] = self.rate
        return optimizer


@dataclass(frozen=True)
class _AtRates:
    optimizer: Callable[[Iterable[nn.Parameter]], Optimizer | Sequence[Optimizer]]
    rates: tuple[tuple[str, float], ...]

    def __call__(self, parameters: Iterable[nn.Parameter]) -> Optimizer:
        optimizer: Optimizer = joined(self.optimizer(parameters))
        known, each = dict(self.rates), parts(optimizer)
        for label, one in zip(labels(each), each, strict=True):
            for group in one.param_groups if label in known else []:
                group["lr"] = known[label]
        return optimizer
