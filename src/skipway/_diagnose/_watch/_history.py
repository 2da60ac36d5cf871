"""The numbers of a watched training, layer by layer, at as many steps as memory allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..._trace._watch._layers import Owned
from ..._trace._watch._looked import Step
from ..._trace._watch._outputs import Passed
from ..._trace._watch._sums import ABSENT, QUANTITIES

MOST = 256  # steps; every other one is let go of when there are more

Numbers = NDArray[np.float64]
Known = NDArray[np.bool_]


@dataclass(frozen=True)
class ByLayer:
    """Numbers of all layers at one look; NaN where there is none.

    Attributes:
        weight: `||W||`, of the parameters with two dimensions or more where the layer has any.
        gradient: `||dL/dW||` of the same; NaN without a gradient.
        step: `||dW||` of the same.
        progress: `-<dL/dw, dw>` of all its parameters.
        with_gradient: weights with a gradient that is not zero.
        lost: how many of them the step left exactly as they were.
        epsilon: for how many of them Adam's epsilon sets the step.
        loss: whose gradient it is.
        looked: whether the layer was looked at, with all of its weights that are held.
        reached: whether any of its weights had a gradient, were it NaN.
    """

    weight: Numbers
    gradient: Numbers
    step: Numbers
    progress: Numbers
    with_gradient: Numbers
    lost: Numbers
    epsilon: Numbers
    loss: Numbers
    looked: NDArray[np.bool_]
    reached: NDArray[np.bool_]


class History:
    """Takes steps and keeps them.

    Args:
        owned: every parameter of the model with its layer.
    """

    def __init__(self, owned: Sequence[Owned]) -> None:
        self.names = list(dict.fromkeys(each.layer for each in owned))
        places = {name: at for at, name in enumerate(self.names)}
        self.layer = np.asarray([places[each.layer] for each in owned])
        wide = np.asarray([each.parameter.dim() > 1 for each in owned])
        has_wide = np.zeros(len(self.names), bool)
        np.logical_or.at(has_wide, self.layer, wide)
        self.main = wide | ~has_wide[self.layer]
        self.steps: list[Step] = []
        self.latest = np.zeros((len(QUANTITIES), len(owned)))
        self.seen = np.zeros(len(owned), bool)
        self.counted = np.zeros(len(owned), bool)
        self.held = np.zeros(len(owned), bool)
        self.shares: list[float | None] = []
        self.passed: dict[str, Passed] = {}
        self.losses: dict[int, tuple[float, float]] = {}
        self.several = False
        self._of = np.full(len(owned), np.nan)
        self._stride, self._looks, self._last = 1, 0, 0
        self._share: float | None = None
        self._positive = False

    def hold(self, places: Sequence[int]) -> None:
        """Learn which parameters an optimizer holds."""
        self.held[places] = True

    def add(self, step: Step) -> None:
        """Take one step."""
        np.copyto(self.latest[:4], step.sums[:4], where=step.looked)
        self.seen |= step.looked
        if step.deep:
            np.copyto(self.latest[4:], step.sums[4:], where=step.counted)
            self.counted |= step.counted
        if step.passed:
            self.passed = {**self.passed, **step.passed}
        np.copyto(self._of, step.losses, where=step.looked)
        if step.loss is not None:
            first = self.losses.get(step.optimizer, (step.loss, 0.0))[0]
            self.losses[step.optimizer] = first, step.loss
        self._share = self._taken(step)
        self._keep(step)

    @property
    def first_loss(self) -> float | None:
        """The loss at the first look; of several, that of the first optimizer that has one."""
        return self.losses[min(self.losses)][0] if self.losses else None

    @property
    def loss(self) -> float | None:
        """The loss at the latest look; of several, that of the first optimizer that has one."""
        return self.losses[min(self.losses)][1] if self.losses else None

    def _keep(self, step: Step) -> None:
        if step.number == self._last:
            if self.steps[-1].number == step.number:
                known = self.steps[-1]
                # One loss for all, or each its own, as in a game of two networks.
                self.several |= None not in (known.loss, step.loss) and known.loss != step.loss
                self.steps[-1] = _joined(known, step)  # another optimizer's part of it
                self.shares[-1] = self.share()
            return
        self._last = step.number
        if self._looks % self._stride == 0:
            self.steps.append(step)
            self.shares.append(self.share())
        self._looks += 1
        if len(self.steps) > MOST:
            self.steps, self.shares = self.steps[::2], self.shares[::2]
            self._stride *= 2

    def now(self) -> ByLayer:
        """Return the latest numbers of every layer."""
        return self.by_layer(self.latest, self.seen, self.counted, self._of)

    def of(self, step: Step) -> ByLayer:
        """Return the numbers of one step."""
        return self.by_layer(step.sums, step.looked, step.counted, step.losses)

    def by_layer(
        self,
        sums: Numbers,
        looked: NDArray[np.bool_],
        counted: NDArray[np.bool_],
        losses: Numbers,
    ) -> ByLayer:
        """Sum parameters to layers."""
        main = self.main & looked
        reached = main & (sums[1] != ABSENT)
        whole = self._sum(self.main & self.held)
        seen = (whole > 0) & (self._sum(main) == whole)
        gradient = np.sqrt(self._sum(sums[1], reached))
        arrived = seen & (self._sum(reached) > 0)
        gradient[~arrived] = np.nan
        counts = seen & (self._sum(main & counted) == whole)
        weight, step = (np.sqrt(self._sum(sums[at], main)) for at in (0, 2))
        rest = [np.where(counts, self._sum(sums[at], main), np.nan) for at in (4, 5, 6)]
        loss = np.full(len(self.names), np.nan)
        loss[self.layer[main]] = losses[main]
        return ByLayer(
            np.where(seen, weight, np.nan),
            gradient,
            np.where(seen, step, np.nan),
            np.where(seen, self._sum(sums[3], looked), np.nan),
            rest[0],
            rest[1],
            rest[2],
            loss,
            seen,
            arrived,
        )

    def _sum(
        self, values: Numbers | NDArray[np.bool_], where: NDArray[np.bool_] | None = None
    ) -> Numbers:
        weights = values if where is None else np.where(where, values, 0.0)
        return np.asarray(np.bincount(self.layer, weights, len(self.names)), float)

    def share(self, *, negative: bool = False) -> float | None:
        """Return which fraction of the loss the latest step removes, where that has a meaning.

        Each optimizer's part is taken of its own loss.

        Args:
            negative: whether to take it of the size of a loss that is negative, too.
        """
        return self._share if negative or self._positive else None

    def _taken(self, step: Step) -> float | None:
        """Return the same, of the size of each loss."""
        self._positive = self.loss is not None and self.loss > 0
        if self.loss is None:
            return None
        if step.loss is not None and abs(step.loss) > 0 and step.looked.all():
            return float(self.latest[3].sum()) / abs(step.loss)
        taken = self.seen & (self.latest[3] != 0)
        own = self._of[taken]
        self._positive &= bool((own > 0).all())
        sizes = np.abs(own)
        return float((self.latest[3, taken] / sizes).sum()) if (sizes > 0).all() else None

    def profile(
        self, order: Sequence[str]
    ) -> tuple[Numbers, Numbers, NDArray[np.intp], bool] | None:
        """Return elasticities at the layers' outputs and what was lost of them, on the way back.

        Args:
            order: the layers in execution order.

        Returns:
            Elasticity and decades lost, in execution order; the layers' places in `names`;
            whether elasticities are relative to the largest, because the loss has no meaning.
            `None` where nothing passed.
        """
        names = [name for name in order if name in self.passed]
        if not names:
            return None
        passed = [self.passed[name] for name in names]
        output, gradient = np.asarray([(each.output, each.gradient) for each in passed]).T
        raw = output * gradient
        relative = self.loss is None or self.loss <= 0  # a loss that is NaN leaves no elasticity
        places = np.asarray([self.names.index(each) for each in names])
        top = np.nanmax(raw, initial=0.0)
        elasticity = raw / (top or 1.0) if relative else raw / self._loss_of(places, top)
        highest = np.maximum.accumulate(elasticity[::-1])[::-1]
        with np.errstate(divide="ignore", invalid="ignore"):
            lost = np.log10(highest / elasticity)
        # A branch that starts at zero has no signal to be sensitive to, but a gradient arrives.
        lost[(output == 0) & (gradient > 0)] = 0.0
        lost[(highest == 0) | ~np.isfinite(elasticity) | ~np.isfinite(highest)] = 0.0
        return elasticity, lost, places, relative

    def _loss_of(self, places: NDArray[np.intp], otherwise: float) -> Numbers:
        known = self.now().loss[places]
        return np.where(known > 0, known, self.loss or otherwise or 1.0)

    def last(self, order: Sequence[str]) -> Passed | None:
        """Return what passed through the last layer that a gradient came back from."""
        return next((self.passed[name] for name in reversed(order) if name in self.passed), None)

    def ordered(self, order: Sequence[str]) -> list[int]:
        """Return the layers' places in execution order; those never seen to run stay in line."""
        rank = {name: at for at, name in enumerate(order)}
        ranks: list[float] = []
        last = -1.0
        for name in self.names:
            last = float(rank.get(name, last))
            ranks.append(last)
        return sorted(range(len(self.names)), key=lambda at: (ranks[at], at))


def _joined(first: Step, second: Step) -> Step:
    sums = np.where(second.looked, second.sums, first.sums)
    passed = {**(first.passed or {}), **(second.passed or {})} or None
    return replace(
        first,
        sums=sums,
        looked=first.looked | second.looked,
        loss=second.loss if first.loss is None else first.loss,
        losses=np.where(second.looked, second.losses, first.losses),
        counted=first.counted | second.counted,
        deep=first.deep or second.deep,
        passed=passed,
    )
