"""What one step, and a few more on a copy, did: as plain numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from . import _thresholds as limit


@dataclass(frozen=True)
class Stepped:
    """What one real step of the optimizer, taken on a copy, did to the whole network.

    Attributes:
        progress: fraction of the loss that the step removes, to first order.
        planned: the same for the step as it would be without rounding.
        lost: share of the weights with a gradient that the step left exactly as they were.
        decay: size of weight decay's part of the step over the rest; 0 without decay.
        epsilon: share of the weights where Adam's epsilon, not the gradient, sets the step;
            `None` for optimizers without one.
        growing: how many times larger the steps get by momentum, which begins at zero.
        steady_each: what each of several optimizers has of `steady`.
        calls: how often it asked for the loss anew, by a closure. Such a step does not grow in
            proportion to the rate.
    """

    progress: float
    planned: float
    lost: float
    decay: float
    epsilon: float | None = None
    growing: float = 1.0
    steady_each: tuple[float, ...] = ()
    calls: int = 0

    @property
    def steady(self) -> float:
        """What it plans once momentum, which begins at zero, is up to its full size.

        A step that follows the loss may end on the other side of where the gradient pointed, or
        nowhere; then it is not small.
        """
        if self.calls > 1:
            finite = math.isfinite(self.progress) and math.isfinite(self.planned)
            return abs(self.planned) if finite else math.inf
        return self.growing * self.planned


@dataclass(frozen=True)
class Tried:
    """What a few steps on a copy did to the loss.

    Attributes:
        start: loss before.
        end: loss after, `inf` where it became non-finite; the mean of the last steps where more
            were taken than at another rate, for a loss that jumps.
        steps: how many.
        turns: on how many parts of the batch in turn; 1 is always the same batch.
        best_rate: the learning rate, of those tried beside the optimizer's own, with the lowest
            end; where all of several optimizers were changed alike, `Rates.reference`.
        part: which one of several optimizers was changed alone, by its place.
        best_end: the loss it ends at.
        best_steps: after how many steps.
        rate: the learning rate to propose, that one or the next smaller.
        rate_end: the loss it ends at, after as many steps.
        held_out: lowest loss of the half of the batch that was not trained on, over the loss of
            the best constant output; `None` where there was no reason to try.
        held_in: loss at the end of the half that was trained on, over the same.
        noise: how far the loss of one batch goes up and down by itself, without any step.
        floor: the lowest loss that was found with answers of any kind; `None` where there was no
            reason to look, or no way.
        steepness: the slope of the loss at the answers over the mean slope on the way to `lies`,
            the lowest loss found with answers of any kind, in float64; `None` likewise.
        lies: that loss.
        mean: the loss of one answer for all samples, the mean of the network's, where answers of
            other samples do as well too and no answers are better; `None` otherwise.
        unfrozen: where it ends when everything may learn; `None` where nothing was frozen.
    """

    start: float
    end: float
    steps: int
    turns: int = 1
    best_rate: float | None = None
    best_end: float = math.inf
    best_steps: int = 0
    part: int | None = None
    rate: float | None = None
    rate_end: float = math.inf
    held_out: float | None = None
    held_in: float | None = None
    noise: float = 0.0
    floor: float | None = None
    steepness: float | None = None
    lies: float | None = None
    mean: float | None = None
    unfrozen: float | None = None


def stands_still(tried: Tried | None, level: float) -> bool:
    """Tell whether neither the optimizer's rate nor another one brings the loss down."""
    if tried is None or not is_stuck(tried, level):
        return False
    return not tried.best_end <= level - (1 - limit.BETTER) * abs(level)


def falls_short(tried: Tried | None, level: float) -> bool:
    """Tell whether steps take hardly anything of what other answers would take off the loss.

    A loss with a large constant part stands still all the same, and its answers get better.
    """
    if tried is None or tried.floor is None or not stands_still(tried, level):
        return False
    gained = level - min(tried.end, tried.best_end)
    return gained < (1 - limit.BETTER) * (level - tried.floor)


def is_stuck(tried: Tried, level: float) -> bool:
    """Tell whether the steps tried leave the loss at `level`, where it began or a constant is."""
    return not tried.end <= level - (1 - limit.STUCK) * abs(level)
