"""How low the loss could get if the network's answers were free to be anything."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .._trace._alter import replaced
from .._trace._calls import tensors
from .._trace._numbers_at import norm
from ._closure import Evaluate, narrowed, widened

PASSES = 20  # of L-BFGS: each is one forward pass of the network
_LARGE = 1_000_000  # numbers in the answers above which they are not looked at


@dataclass(frozen=True)
class Floor:
    """The lowest loss with free answers, and how steep it is where the answers are.

    Attributes:
        lowest: the lowest loss that was found.
        steepness: the slope at the network's answers over the mean slope on the way to the lowest
            loss; 1 or more for every loss that is convex in the answers. `None` where none is
            lower.
    """

    lowest: float
    steepness: float | None


class _Free(nn.Module):
    """Answers as the network does, each number of every call shifted by one that is free.

    Where it is `wide`, it is given and gives float64, and the network runs in its own type.
    """

    def __init__(self, model: nn.Module, *, wide: bool = False) -> None:
        super().__init__()
        self.model, self.shifts, self.at, self.wide = model, list[Tensor](), 0, wide

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        with torch.no_grad():
            if self.wide:
                args, kwargs = narrowed(args, self.model), narrowed(kwargs, self.model)
            output = self.model(*args, **kwargs)
            output = widened(output) if self.wide else output
        new: dict[int, Tensor] = {}
        for tensor in tensors(output):
            if tensor.is_floating_point():
                if self.at == len(self.shifts):
                    self.shifts.append(torch.zeros_like(tensor).requires_grad_())
                new[id(tensor)] = tensor + self.shifts[self.at]
                self.at += 1
        return replaced(output, new)


def lowest_loss(
    model: nn.Module,
    evaluate: Evaluate,
    *,
    wide: bool = False,
    again: Callable[[], None] = lambda: None,
) -> Floor | None:
    """Return the lowest loss that was found with free answers; `None` where it has no slope.

    Args:
        model: stays as it is.
        evaluate: the loss of a model; with `wide`, one that hands it float64.
        wide: whether answers and loss are in float64.
        again: is called before every pass; it may bring random numbers back.
    """
    free = _Free(copy.deepcopy(model), wide=wide)
    best, there = math.inf, list[Tensor]()

    def loss() -> Tensor:
        nonlocal best, there
        again()
        free.at = 0
        value = evaluate(free)
        if math.isfinite(value.item()) and value.item() < best:
            best, there = value.item(), [each.detach().clone() for each in free.shifts]
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
        slopes = list[float]()

        def closure() -> Tensor:
            value = loss() / scale
            for each, slope in zip(
                free.shifts, torch.autograd.grad(value, free.shifts, allow_unused=True), strict=True
            ):
                each.grad = torch.zeros_like(each) if slope is None else slope
            if not slopes:
                slopes.append(_size([each.grad for each in free.shifts]))
            return value

        search.step(closure)  # type: ignore[no-untyped-call]
    gained, way = (first.item() - best) / scale, _size(there)
    return Floor(best, slopes[0] * way / gained if gained > 0 and way > 0 else None)


def _size(parts: list[Tensor | None] | list[Tensor]) -> float:
    return math.hypot(*(float(norm(each)) for each in parts if each is not None))
