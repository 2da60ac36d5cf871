"""Do the labels say anything about the inputs that a network can use?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from .._case import split, take
from .._trace._calls import tensors
from . import _thresholds as limit
from ._dependence import mostly_new
from ._facts import Facts
from ._search import search_rate
from ._stepped import Tried
from ._together import Together
from ._trial import try_steps

if TYPE_CHECKING:
    from ._task import Task

# Samples to learn from, and as many to look at: what is of use shows by then, and so few are soon
# learned by heart.
_ENOUGH = 256
_LONGER = 5  # times as many steps as are tried otherwise


def pairs_of(batch: Any, size: int) -> tuple[list[Tensor], list[Tensor]] | None:
    """Return inputs and targets as tensors of `size` samples each; `None` where they are not."""
    if size < limit.ENOUGH_SAMPLES:
        return None
    inputs, targets = map(tensors, split(batch))
    every = [*inputs, *targets]
    alike = all(each.dim() and len(each) == size and each.numel() for each in every)
    return (inputs, targets) if inputs and targets and alike else None


def only_new_names(task: Task) -> bool:
    """Tell whether the inputs are names of which most occur in one half of the batch alone."""
    pairs = pairs_of(task.batch, task.size)
    return pairs is not None and mostly_new(pairs[0], min(task.size // 2, _ENOUGH))


def carried_over(
    task: Task, optimizer: Together, facts: Facts, tried: Tried, steps: int
) -> tuple[float, float]:
    """Train a copy on one half of the batch and return what that does to both halves.

    Returns:
        The loss of the first half at the end, and the lowest of the other.
    """
    half = min(task.size // 2, _ENOUGH)
    first, second = (take(task.batch, index) for index in torch.arange(2 * half).view(2, half))

    def loss(model: nn.Module) -> Tensor:
        return task.loss_on(model, first)

    def learned(factor: float, count: int, part: int | None = None) -> tuple[float, float]:
        inside, outside = try_steps(
            task.model,
            optimizer,
            [loss],
            count,
            factor=factor,
            part=part,
            also=lambda model: task.loss_on(model, second),
        )
        return inside[-1], min(outside)

    found = learned(_factor(tried, facts), _LONGER * steps, tried.part)
    assert facts.chance is not None
    assert facts.step is not None
    dependent = (facts.dependence or 0.0) < limit.INDEPENDENT  # it is a branch that is in doubt
    if dependent or found[0] < limit.LEARNED * facts.chance or not facts.step.steady > 0:
        return found
    # What was not even learned by heart says nothing: at a rate that fits it is.
    aim, own = limit.GOOD / facts.step.steady, facts.learning_rate
    if not own:
        return found
    rate, _ = search_rate(task.model, optimizer, [loss], steps, aim, own=own)
    # What is best for ten steps is a little too large for a hundred.
    return learned(rate / own / 3, 2 * _LONGER * steps)


def _factor(tried: Tried, facts: Facts) -> float:
    """Return the factor to a rate that learns, where the optimizer's own is too small."""
    own = facts.own_rate(tried)
    slow = facts.step is not None and facts.step.steady < limit.SLOW
    return tried.best_rate / own if slow and tried.best_rate and own else 1.0
