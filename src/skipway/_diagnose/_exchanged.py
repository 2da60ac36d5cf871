"""What an objective makes of other answers than the network's own: exchanged, their mean, chance.

Two views that are to agree do so perfectly where one answer stands for all samples. Then the loss
is as low as it gets, and nobody can tell from it that nothing was learned. What tells is that
answers of other samples do as well as a sample's own, and so does the mean of all.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .._trace._alter import replaced
from .._trace._calls import tensors
from . import _thresholds as limit
from ._closure import Evaluate

# Of the way from answers by chance to the lowest loss, what counts as no difference.
_SAME = 0.01
# Of the loss itself, how far that way is at least, for its hundredth to be more than rounding.
_WAY = 1e-4


class _Instead(nn.Module):
    """Answers something else, made from what the model answers."""

    def __init__(self, model: nn.Module, other: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.model, self.other = model, other
        self.draw = torch.Generator().manual_seed(0)
        self.differing = 0.0

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        output = self.model(*args, **kwargs)
        given = [each for each in tensors(output) if each.dim() and each.is_floating_point()]
        # All that one call answers about a sample goes with the answers of one other sample.
        self.differing = max([self.differing, *map(_differing, given)])
        order = torch.randperm(max(map(len, given), default=0), generator=self.draw)
        new = {id(each): self.other(each, order) for each in given}
        return replaced(output, new)


def _differing(answers: Tensor) -> float:
    """Return what differs between samples as a share of the answers."""
    wide = answers.detach().double()
    whole = float(wide.norm())
    return float((wide - wide.mean(0, keepdim=True)).norm()) / whole if whole > 0 else 0.0


def _of_others(answers: Tensor, order: Tensor) -> Tensor:
    return answers[order.to(answers.device)] if len(order) == len(answers) else answers


def _mean(answers: Tensor, order: Tensor) -> Tensor:
    return answers.mean(0, keepdim=True).expand(answers.shape).clone()


def _by_chance(answers: Tensor, order: Tensor) -> Tensor:
    seeded = torch.Generator().manual_seed(int(order[0]) if len(order) else 0)
    drawn = torch.randn(answers.shape, generator=seeded).to(answers)
    return drawn * answers.double().square().mean().sqrt().to(answers)


def one_for_all(
    model: nn.Module, evaluate: Evaluate, again: Callable[[], None], loss: float, lowest: float
) -> float | None:
    """Return the loss of the mean answer, if it and exchanged answers are as good as any.

    Args:
        model: stays as it is.
        evaluate: the loss of a model.
        again: brings random numbers back.
        loss: with the network's own answers.
        lowest: that was found with answers of any kind.

    Returns:
        `None` where the answers differ, or differing ones would be better.
    """

    def of(other: Callable[[Tensor, Tensor], Tensor]) -> tuple[float, float]:
        again()
        instead = _Instead(copy.deepcopy(model), other)
        with torch.no_grad():
            return float(evaluate(instead)), instead.differing

    chance, differing = of(_by_chance)
    same = lowest + _SAME * (chance - lowest)
    if differing > limit.ALIKE or not chance - lowest > _WAY * max(abs(lowest), abs(loss)):
        return None
    if not loss <= same or not of(_of_others)[0] <= same:
        return None
    mean, _ = of(_mean)
    return mean if mean <= same else None
