"""How low the loss could get if the network's answers were free to be anything."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .._trace._alter import replaced
from .._trace._calls import tensors

PASSES = 20  # of L-BFGS: each is one forward pass of the network
_LARGE = 1_000_000  # numbers in the answers above which they are not looked at


class _Free(nn.Module):
    """Answers as the network does, each number of every call shifted by one that is free."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.shifts, self.at = model, list[Tensor](), 0

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        with torch.no_grad():
            output = self.model(*args, **kwargs)
        new: dict[int, Tensor] = {}
        for tensor in tensors(output):
            if tensor.is_floating_point():
                if self.at == len(self.shifts):
                    self.shifts.append(torch.zeros_like(tensor).requires_grad_())
                new[id(tensor)] = tensor + self.shifts[self.at]
                self.at += 1
        return replaced(output, new)


def lowest_loss(model: nn.Module, evaluate: Callable[[nn.Module], Tensor]) -> float | None:
    """Return the lowest loss that was found with free answers; `None` where it has no slope.

    Args:
        model: stays as it is.
        evaluate: the loss of a model.
    """
    free = _Free(copy.deepcopy(model))
    best = math.inf

    def loss() -> Tensor:
        nonlocal best
        free.at = 0
        value = evaluate(free)
        best = min(best, value.item()) if math.isfinite(value.item()) else best
        return value

    with torch.enable_grad():
        first = loss()  # which also makes the shifts
        scale = abs(first.item()) or 1.0
        if not first.requires_grad or sum(each.numel() for each in free.shifts) > _LARGE:
            return None
        search = torch.optim.LBFGS(
            free.shifts,
            max_iter=PASSES,
            max_eval=2 * PASSES,
            tolerance_grad=0,
            tolerance_change=0,
            line_search_fn="strong_wolfe",
        )

        def closure() -> Tensor:
            value = loss() / scale
            for each, slope in zip(
                free.shifts, torch.autograd.grad(value, free.shifts, allow_unused=True), strict=True
            ):
                each.grad = torch.zeros_like(each) if slope is None else slope
            return value

        search.step(closure)  # type: ignore[no-untyped-call]
    return best
