"""`unfrozen`: parameters that are frozen, or that no optimizer holds, are trained."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from torch import nn
from torch.optim import Optimizer

from .._case import Case
from .._several_optimizers import general, joined, parts


def unfrozen(case: Case) -> Case:
    """Return the case with every floating parameter trained and given to the optimizer.

    Parameters that were not in the optimizer get the settings of its first group; of several
    optimizers, of one that takes parameters of every kind.

    Example:
        >>> from skipway import cases
        >>> treated = unfrozen(cases.load("frozen"))
        >>> all(parameter.requires_grad for parameter in treated.model().parameters())
        True
    """
    return case.replace(model=_Unfrozen(case.model), optimizer=_WithAll(case.optimizer))


@dataclass(frozen=True)
class _Unfrozen:
    model: Callable[[], nn.Module]

    def __call__(self) -> nn.Module:
        model = self.model()
        for parameter in model.parameters():
            # Integer parameters (quantised weights) cannot carry a gradient.
            parameter.requires_grad_(parameter.is_floating_point() or parameter.is_complex())
        return model


@dataclass(frozen=True)
class _WithAll:
    optimizer: Callable[[Iterable[nn.Parameter]], Optimizer | Sequence[Optimizer]]

    def __call__(self, parameters: Iterable[nn.Parameter]) -> Optimizer:
        given = list(parameters)
        optimizer: Optimizer = joined(self.optimizer(given))
        held = {id(each) for group in optimizer.param_groups for each in group["params"]}
        first = general(parts(optimizer)).param_groups[0]
        first["params"].extend(p for p in given if id(p) not in held)
        return optimizer
