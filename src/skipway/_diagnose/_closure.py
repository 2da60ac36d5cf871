"""The closure that LBFGS and its like call for loss and gradient anew, on a copy of the model."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

Evaluate: TypeAlias = Callable[[nn.Module], Tensor]


@dataclass
class Closure:
    """Computes the loss of a model, and the gradients into its parameters.

    Attributes:
        model: a copy, whose parameters are stepped.
        evaluate: its loss.
        calls: how often it was called.
    """

    model: nn.Module
    evaluate: Evaluate
    calls: int = field(default=0, init=False)

    def __call__(self) -> Tensor:
        """Return the loss."""
        self.calls += 1
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        with torch.enable_grad():
            loss = self.evaluate(self.model)
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        return loss.detach()


@dataclass(frozen=True)
class Asked:
    """What a closure is made from.

    Attributes:
        model: stays as it is.
        evaluate: the loss of a model.
        evaluate_wide: the same in float64.
    """

    model: nn.Module
    evaluate: Evaluate
    evaluate_wide: Evaluate

    def closure(self, others: Mapping[str, nn.Parameter], *, wide: bool) -> Closure:
        """Return the closure on a copy that has these parameters, by name, in place of its own."""
        own = {id(p): others[name] for name, p in self.model.named_parameters() if name in others}
        memo: dict[int, object] = dict(own)
        clone = copy.deepcopy(self.model, memo)
        return Closure(
            clone.double() if wide else clone, self.evaluate_wide if wide else self.evaluate
        )


def widened(value: Any) -> Any:
    """Return nested tuples, lists and mappings with every tensor of real numbers in float64."""
    return _cast(value, lambda each: each.double() if each.is_floating_point() else each)


def narrowed(value: Any, model: nn.Module) -> Any:
    """Return them with what is in float64 in the type of the model."""
    own = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float64)
    return _cast(value, lambda each: each.to(own) if each.dtype == torch.float64 else each)


def _cast(value: Any, to: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, Tensor):
        return to(value)
    if isinstance(value, Mapping):
        return {key: _cast(each, to) for key, each in value.items()}
    if type(value) in (tuple, list):
        return type(value)(_cast(each, to) for each in value)
    return value
