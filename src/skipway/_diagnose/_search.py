"""The search for a better learning rate, on copies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import nn

from . import _thresholds as limit
from ._closure import Evaluate
from ._facts import Facts
from ._stepped import Tried
from ._together import Together
from ._trial import try_steps

_TOO = 0.1  # of what the best rate takes of the loss, to be one that learns too
_AROUND = (0.1, 10**-0.5, 1.0, 10**0.5)  # factors tried around the rate that is aimed at
_DOWN = (0.1, 1e-2, 1e-3, 1e-4)  # factors that are aimed at in turn where one step tells none


@dataclass(frozen=True)
class Search:
    """Where and for how long other learning rates are tried.

    Attributes:
        model: stays as it is.
        optimizer: stays as it is.
        turns: losses of a model, each followed by one step, in turn.
        steps: how many, with each rate.
        facts: what one step does at the optimizer's own rate.
        smaller: only rates below the optimizer's own, of which more steps are known.
    """

    model: nn.Module
    optimizer: Together
    turns: Sequence[Evaluate]
    steps: int
    facts: Facts
    smaller: bool = False

    def together(self, tried: Tried) -> Tried:
        """Return what was tried, with the best rate of all optimizers changed alike."""
        step = self.facts.step
        assert step is not None
        tried = replace(tried, part=None)
        if step.calls <= 1 or 0 < step.steady < 1:
            return self._found(tried, limit.GOOD / step.steady)
        # A step that follows the loss for a while does not grow with the rate.
        for aim in _DOWN:
            found = self._found(tried, aim)
            if found.best_end <= tried.start - (1 - limit.BETTER) * abs(tried.start):
                break
        return found

    def alone(self, tried: Tried) -> Tried:
        """Return the rate of one of several optimizers alone, where no other has to be changed.

        It is the one whose step plans the most. Without it the others may do well at the rates
        that they have, and a smaller one for all of them would only hide which one is too large.
        """
        step = self.facts.step
        assert step is not None
        if len(self.optimizer.each) < 2:
            return tried
        part = max(range(len(step.steady_each)), key=lambda at: step.steady_each[at])
        if not step.steady_each[part] > limit.GOOD:
            return tried
        found = self._found(replace(tried, part=part), limit.GOOD / step.steady_each[part])
        enough = limit.BETTER * (tried.start - tried.best_end)
        return found if found.start - found.best_end >= max(enough, 0.0) else tried

    def _found(self, tried: Tried, aim: float) -> Tried:
        own, part = self.facts.own_rate(tried), tried.part
        where = self.model, self.optimizer, self.turns, self.steps
        best = search_rate(*where, aim, own=own, part=part, smaller=self.smaller)
        rate, rate_end = gentler_rate(*where, best, own=own, part=part)
        return replace(
            tried,
            best_rate=best[0],
            best_end=best[1],
            best_steps=self.steps,
            rate=rate,
            rate_end=rate_end,
        )


def search_rate(
    model: nn.Module,
    optimizer: Together,
    turns: Sequence[Evaluate],
    steps: int,
    factor: float,
    *,
    own: float,
    part: int | None = None,
    smaller: bool = False,
) -> tuple[float, float]:
    """Return the learning rate around `factor` times the optimizer's own that ends lowest.

    Args:
        model: stays as it is.
        optimizer: stays as it is.
        turns: losses of a model, each followed by one step, in turn.
        steps: how many, with each rate.
        factor: of the optimizer's own rate, around which is looked.
        own: that rate.
        part: which one of several optimizers is changed, by its place; all by default.
        smaller: only rates below the optimizer's own, of which more steps are known.

    Returns:
        The rate, one of 1 and 3 times a power of ten, and the loss it ends at.
    """
    ends: dict[float, float] = {}
    for around in _AROUND:
        rate = _round_number(own * factor * around)
        if rate not in ends and not (smaller and rate >= own and ends):
            losses, _ = try_steps(model, optimizer, turns, steps, factor=rate / own, part=part)
            ends[rate] = losses[-1]
    best = min(ends, key=lambda rate: ends[rate])
    return best, ends[best]


def gentler_rate(
    model: nn.Module,
    optimizer: Together,
    turns: Sequence[Evaluate],
    steps: int,
    best: tuple[float, float],
    *,
    own: float,
    part: int | None = None,
) -> tuple[float, float]:
    """Return the next smaller rate than the best, and the loss it ends at, if it learns too.

    Few steps on few samples end lowest near the edge where a training comes apart.

    Args:
        model: stays as it is.
        optimizer: stays as it is.
        turns: losses of a model, each followed by one step, in turn.
        steps: how many.
        best: rate and end of those that were tried; returned where the smaller one hardly learns.
        own: the optimizer's own rate.
        part: which one of several optimizers is changed, by its place; all by default.
    """
    below = _round_number(best[0] * 10**-0.5)
    losses, _ = try_steps(model, optimizer, turns, steps, factor=below / own, part=part)
    learns = losses[0] - losses[-1] > _TOO * (losses[0] - best[1])
    return (below, losses[-1]) if learns else best


def _round_number(rate: float) -> float:
    exponent = math.floor(math.log10(rate))
    part = math.log10(rate) - exponent
    if part < 0.25:
        return float(f"1e{exponent}")
    return float(f"3e{exponent}") if part < 0.75 else float(f"1e{exponent + 1}")
