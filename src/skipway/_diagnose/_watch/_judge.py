"""Which findings begin and end while training: each look against the thresholds."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from ..._trace._watch._looked import Step
from ..._trace._watch._sums import ABSENT
from .. import _thresholds as limit
from ._history import ByLayer, History, Numbers
from ._spells import Spell, Spells

Mask = NDArray[np.bool_]


class Judge:
    """Takes every look after the history has.

    Args:
        history: of the numbers.
        narrow: by layer, whether its weights have 16 bits.
        sizes: by layer, how many numbers its weight holds; infinite where it is usual that most
            of them get no gradient (an embedding).
    """

    def __init__(self, history: History, narrow: Mask, sizes: Numbers) -> None:
        self.history, self.narrow, self.sizes = history, narrow, sizes
        # By layer, whether a weight of it requires a gradient and an optimizer holds it.
        self.learns = np.zeros(len(history.names), bool)
        self.spells = Spells(len(history.names))
        self.order: Sequence[str] = ()
        self.hooked: frozenset[str] = frozenset()
        kept = limit.BEGUN + 1
        self.stays = False
        self._off = np.zeros(len(history.names), bool)
        self._fast_since: int | None = None
        self._wild_since: int | None = None
        self._begun = np.full(len(history.names), np.nan)
        self._progress: deque[float] = deque(maxlen=kept)
        self._rates: deque[float] = deque(maxlen=kept)
        self._losses: deque[float] = deque(maxlen=kept)

    def see(self, step: Step) -> list[Spell]:
        """Return what is known, by this look, to have begun."""
        found: list[Spell] = []
        layers: ByLayer | None = None
        if step.deep or self._unusual(step):
            layers = self.history.of(step)
            found += self._weights(step, layers)
        if step.deep and layers is not None:
            found += self._counts(step, layers)
        if step.passed:
            found += self._outputs(step)
        return [*found, *self._whole(step)]

    def _unusual(self, step: Step) -> bool:
        """Tell, in a few operations, whether a look has to be looked into."""
        if self.spells.running("stopped") or self.spells.running("non-finite"):
            return True
        if step.well:
            return False
        if not math.isfinite(step.sums[:3].sum()):
            return True
        return bool(((step.sums[2] == 0) & (step.sums[1] > 0)).any())

    def _weights(self, step: Step, layers: ByLayer) -> list[Spell]:
        looked = layers.looked
        sick = ~np.isfinite(layers.weight) | np.isinf(layers.gradient) | np.isinf(layers.step)
        sick |= np.isnan(layers.gradient) & ~self._absent(step)
        # What is frozen meanwhile is looked at, and has nothing any more.
        found = self._follow("non-finite", step, looked, sick, need=1)
        stopped = (layers.step == 0) & (layers.gradient > 0)
        return found + self._follow("stopped", step, looked, stopped)

    def _follow(
        self, kind: str, step: Step, looked: Mask, holds: Mask, need: int = limit.LASTING
    ) -> list[Spell]:
        return self.spells.follow(kind, step.number, looked, holds & self.learns, need)

    def _absent(self, step: Step) -> Mask:
        """Return the layers that are held and get no gradient at all."""
        history = self.history
        reached = step.looked & (step.sums[1] != ABSENT)
        return np.asarray(np.bincount(history.layer, reached, len(history.names)) == 0)

    def uncalled(self) -> Mask:
        """Return the layers whose modules would have been seen to run and never did."""
        out = self.hooked - set(self.order) if self.order else frozenset()
        return np.asarray([name in out for name in self.history.names])

    def _counts(self, step: Step, layers: ByLayer) -> list[Spell]:
        # A layer without any gradient has nothing to count.
        looked, follow = ~np.isnan(layers.lost), self._follow
        found = follow("detached", step, looked, self._absent(step) & ~self.uncalled())
        with_gradient = np.maximum(layers.with_gradient, 1)
        lost = self.narrow & (layers.lost >= limit.LOST * with_gradient) & (layers.step > 0)
        found += follow("rounded", step, looked, lost)
        if self._wild_since is None and self._wild(layers):
            self._wild_since = step.number
        self._off = self._dead(layers)
        found += follow("dead", step, looked, self._off)
        epsilon = layers.epsilon > limit.EPSILON_SHARE * with_gradient
        progress = self.history.share()
        if progress is not None and progress >= limit.TOO_SLOW:
            epsilon[:] = False  # the steps are whole, whatever sets their size
        return found + follow("epsilon", step, looked, epsilon)

    def _wild(self, layers: ByLayer) -> bool:
        """Tell whether steps as large as the weights are taken, or were since the first look."""
        begun = self._begun
        begun[np.isnan(begun)] = layers.weight[np.isnan(begun)]
        there = self.learns & (layers.weight > 0) & (begun > 0)
        if not there.any():
            return False
        ratio, grown = (
            layers.step[there] / layers.weight[there],
            layers.weight[there] / begun[there],
        )
        return bool(np.median(ratio) > limit.WILD or np.median(grown) > limit.APART)

    def _dead(self, layers: ByLayer) -> Mask:
        """Return the layers whose units are off for the whole batch, though a gradient arrives.

        A weight gets a gradient where both units that it joins are on for some sample. What has
        vanished on its way is exactly zero too in the end, but then next to nothing arrives
        behind it.
        """
        few = layers.with_gradient <= limit.ALIVE * self.sizes
        few &= np.isfinite(self.sizes) & ~np.isnan(layers.gradient)
        if few.any():
            passed = self.history.passed
            order = [name for name in self.order if name in passed]
            matters = [passed[name].output * passed[name].gradient for name in order]
            behind = dict(zip(order, matters[1:], strict=False))
            few &= [behind.get(name, 0.0) > limit.UNDERFLOW for name in self.history.names]
        return few

    def _outputs(self, step: Step) -> list[Spell]:
        profile = self.history.profile(self.order)
        if profile is None:
            return []
        elasticity, lost, places, relative = profile
        shape = len(self.history.names)
        looked, dying, exploding = np.zeros((3, shape), bool)
        looked[places] = True
        need = limit.RELATIVE_DYING if relative else limit.DYING
        dying[places] = (lost > need) & (relative | (elasticity < limit.WEAK))
        dying &= ~self._off  # said already, and why
        exploding[places] = not relative and not self._nearly_solved(step)
        exploding[places] &= elasticity > limit.EXPLODING
        found = self.spells.follow("dying", step.number, looked, dying)
        found += self.spells.follow("exploding", step.number, looked, exploding)
        last = self.history.last(self.order)
        signal = None if last is None else last.signal
        collapsed = signal is not None and signal < limit.COLLAPSED
        return found + self.spells.one("collapsed", step.number, collapsed)

    def _nearly_solved(self, step: Step) -> bool:
        first = self.history.first_loss
        if step.loss is None or not first:
            return False
        return abs(step.loss) < limit.NEARLY_SOLVED * abs(first)

    def _whole(self, step: Step) -> list[Spell]:
        """The loss, and how much of it each step takes."""
        first, loss = self.history.first_loss, step.loss
        if loss is None or first is None:
            return []
        one, number = self.spells.one, step.number
        found = one("non-finite loss", number, not math.isfinite(loss), need=1)
        if self.history.several:
            return found  # what one of two opponents wins the other loses: neither has to fall
        share = self.history.share(negative=True)
        if share is None or not math.isfinite(loss):
            # What a step that takes more than there is leaves behind is no illness of its own.
            shot = not math.isfinite(loss) and max([0.0, *self._progress][-1:]) > 1
            return [*found, *self._overshot(number, shot, need=1)]
        self._progress.append(share)
        self._rates.append(step.rate)
        self._losses.append(loss)
        latest = sorted(islice(reversed(self._losses), limit.LASTING))
        recent = latest[len(latest) // 2]
        # A loss that may be negative need not fall by any share of itself; it may fly apart.
        stuck = recent >= limit.STUCK * first > 0 and len(self._losses) > limit.LASTING
        self.stays = stuck
        apart = recent > limit.APART * abs(first) and max(self._progress) > limit.FAST
        if share <= limit.FAST:
            self._fast_since = None
        elif self._fast_since is None:
            self._fast_since = number
        if recent < limit.STUCK * first:
            self._wild_since = None  # whatever it threw over, the loss falls
        wild = self._wild_since is not None
        found += self._overshot(number, apart or (stuck and (wild or share > limit.FAST)))
        return found + one("slow", number, self._slow(stuck, number))

    def _overshot(self, number: int, holds: bool, need: int = limit.LASTING) -> list[Spell]:
        found = self.spells.one("overshooting", number, holds, need)
        for spell in found:
            since = (self._fast_since, self._wild_since)
            spell.step = min(spell.step, *(each for each in since if each is not None), spell.step)
        return found

    def _slow(self, stuck: bool, number: int) -> bool:
        if not stuck or len(self._progress) <= limit.BEGUN:
            return False
        # A plateau is given time; what would take thousands of steps is said at once.
        early = number - self.history.steps[0].number < limit.PATIENCE
        return self._slower(limit.HOPELESS if early else limit.TOO_SLOW)

    def _slower(self, than: float) -> bool:
        warming = self._rates[-1] > self._rates[0]
        return not warming and sum(self._progress) / len(self._progress) < than

    def so_far(self) -> list[Spell]:
        """Return what began, and what a training that is over after a few looks may be told."""
        every, steps = self.spells.all, self.history.steps
        known = any(spell.kind == "slow" for spell in every)
        if known or not self.stays or self.history.several or not self._slower(limit.SURELY_SLOW):
            return every
        return [*every, Spell("slow", steps[0].number, (0,), {0})]
