"""What the loss makes of the network's answers, whatever the network learns.

A loss that squashes its argument by itself, given answers that are squashed already, cannot get
low: no answer is sure enough for it. And a loss that sets every answer against every target, which
is what a column and a vector come to, cares for the mean answer alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from .._case import Loss
from .._trace import Graph
from .._trace._numbers_at import norm
from . import _thresholds as limit

_SURE = 10.0  # where softmax and sigmoid are at their ends but for a ten-thousandth
_LARGE = 1_000_000  # numbers in the answers above which they are not looked at
# Each with a function onto the same range that has a slope everywhere, to search it by.
_SQUASHES: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": F.softplus,
    "hardsigmoid": torch.sigmoid,
    "hardtanh": torch.tanh,
}
# What changes the form of an answer and none of its values.
_FORM = {"float", "to", "double", "view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze",
         "contiguous", "clone", "type", "getitem"}  # fmt: skip


@dataclass(frozen=True)
class Squashed:
    """Answers of a narrow range, before a loss that asks for a wide one.

    Attributes:
        op: what they were squashed by.
        floor: the lowest loss within that range.
        free: the lowest loss that was found without it.
        share: the part of what there is to learn that the range puts out of reach.
    """

    op: str
    floor: float
    free: float
    share: float


def squashed(
    graph: Graph, loss_fn: Loss, output: Any, targets: Any, chance: float | None
) -> Squashed | None:
    """Return what the range of the answers costs, where the network ends in something narrow.

    Args:
        graph: of the pass.
        loss_fn: of answers and targets.
        output: the answers.
        targets: what they should be.
        chance: the loss of the best constant answer.
    """
    op = _last_op(graph)
    if op is None or (chance or 0) <= 0 or not _single(output) or not isinstance(targets, Tensor):
        return None
    # Where probabilities are asked for, others than these end in an error that a device survives
    # no better than the process does.
    output, targets = output.detach().float().cpu(), targets.detach().cpu()
    into = _SQUASHES.get(op) or _softmax(output)
    if into is None:
        return None
    assert chance is not None
    floor = min(
        chance * _lowest(lambda free: loss_fn(into(free), targets) / chance, start)
        for start in (torch.zeros_like(output), _sure(output, targets))
    )
    if not floor > limit.NEARLY_SOLVED * chance:
        return Squashed(op, floor, floor, 0.0)
    free = chance * _lowest(lambda answers: loss_fn(answers, targets) / chance, output)
    if not math.isfinite(free) or free >= chance:
        return None
    return Squashed(op, floor, free, (floor - free) / (chance - free))


def _last_op(graph: Graph) -> str | None:
    if len(graph.outputs) != 1:
        return None
    node = graph.nodes[graph.outputs[0]]
    while node.op in _FORM and node.inputs:
        node = graph.nodes[node.inputs[0]]
    return node.op if node.op in _SQUASHES or node.op == "softmax" else None


def _single(output: Any) -> bool:
    return isinstance(output, Tensor) and output.dim() > 0 and 0 < output.numel() <= _LARGE


def _softmax(output: Tensor) -> Callable[[Tensor], Tensor] | None:
    """Return softmax along the way along which the answers sum to one."""
    for dim in reversed(range(1, output.dim())):
        if torch.allclose(output.sum(dim), torch.ones(()), atol=1e-2):
            return lambda free: free.softmax(dim)
    return None


def _sure(output: Tensor, targets: Tensor) -> Tensor:
    """Return answers, before they are squashed, that are sure of their targets."""
    if targets.shape == output.shape:
        return _SURE * (2 * targets.float() - 1)
    sure = torch.full_like(output, -_SURE)
    for dim in range(1, output.dim()):
        if targets.shape == (*output.shape[:dim], *output.shape[dim + 1 :]):
            # Whatever marks a class that is left out lies outside of the classes.
            known = targets.long().clamp(0, output.shape[dim] - 1)
            return sure.scatter(dim, known.unsqueeze(dim), _SURE)
    return sure


def _lowest(loss: Callable[[Tensor], Tensor], start: Tensor) -> float:
    """Return the lowest loss that L-BFGS finds from here; infinity where it has no slope."""
    free = start.clone().requires_grad_()
    search = torch.optim.LBFGS(
        [free], max_iter=30, tolerance_grad=0, tolerance_change=0, line_search_fn="strong_wolfe"
    )
    best = math.inf

    def closure() -> Tensor:
        nonlocal best
        value = loss(free)
        best = min(best, value.item()) if math.isfinite(value.item()) else best
        (free.grad,) = torch.autograd.grad(value, [free])
        return value

    try:
        with torch.enable_grad():
            search.step(closure)  # type: ignore[no-untyped-call]
    except Exception:
        return best  # as for a constant answer: not every loss can be differentiated in this way
    return best


def shifted(loss_fn: Loss, output: Any, targets: Any, chance: float | None) -> float | None:
    """Return the loss with the best constant added to every answer, or nothing if that is unknown.

    It tells answers that are too large from those that merely lie elsewhere than the targets.
    """
    if not _single(output) or not chance or output.is_complex():
        return None
    answers = output.detach().float()
    one = torch.zeros_like(answers[:1])
    lowest = _lowest(lambda each: loss_fn(answers + each, targets) / chance, one)
    return chance * lowest if math.isfinite(lowest) else None


def distance(output: Any, targets: Any) -> float:
    """Return how many times larger the targets of a regression are than the answers, or 0."""
    if not (_single(output) and isinstance(targets, Tensor) and targets.is_floating_point()):
        return 0.0
    if output.shape != targets.shape or output.is_complex():
        return 0.0
    answers, wanted = (float(norm(each.detach())) for each in (output, targets))
    return wanted / answers if answers > 0 else 0.0


def unpaired(loss_fn: Loss, output: Any, targets: Any) -> bool:
    """Tell whether the loss is the same whichever target belongs to which sample.

    That is asked where answers and targets are numbers of different shapes, which broadcast.
    """
    if not (_single(output) and isinstance(targets, Tensor) and targets.is_floating_point()):
        return False
    if output.shape == targets.shape or not 1 < len(targets) == len(output):
        return False
    if bool((targets == targets[:1]).all()):
        return False
    spread = torch.linspace(-1, 1, len(output), device=output.device, dtype=output.dtype)
    answers = output.detach() + spread.reshape(-1, *[1] * (output.dim() - 1))
    try:
        with torch.no_grad():
            own, turned, other = (
                float(loss_fn(answers, targets)),
                float(loss_fn(answers, targets.roll(1, 0))),
                float(loss_fn(output.detach(), targets)),
            )
    except Exception:
        return False  # a loss that takes these answers alone
    same = math.isclose(own, turned, rel_tol=1e-4)
    return same and not math.isclose(own, other, rel_tol=1e-4)
