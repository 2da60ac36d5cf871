"""The numbers of a watched training, layer by layer, at as many steps as memory allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..._trace._watch._layers import Owned
from ..._trace._watch._outputs import Passed
from ..._trace._watch._sums import ABSENT, QUANTITIES
from ..._trace._watch._turn import Step

MOST = 256  # steps; every other one is let go of when there are more

Numbers = NDArray[np.float64]


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
        looked: whether the layer was looked at, with all of its weights that are held.
    """

    weight: Numbers
    gradient: Numbers
    step: Numbers
    progress: Numbers
    with_gradient: Numbers
    lost: Numbers
    epsilon: Numbers
    looked: NDArray[np.bool_]


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
        self.first_loss: float | None = None
        self.loss: float | None = None
        self._stride, self._looks, self._last = 1, 0, 0

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
        if step.loss is not None:
            self.loss = step.loss
        if self.first_loss is None:
            self.first_loss = step.loss
        self._keep(step)

    def _keep(self, step: Step) -> None:
        if step.number == self._last:
            if self.steps[-1].number == step.number:
                self.steps[-1] = _joined(self.steps[-1], step)  # another optimizer's part of it
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
        return self.by_layer(self.latest, self.seen, self.counted)

    def of(self, step: Step) -> ByLayer:
        """Return the numbers of one step."""
        return self.by_layer(step.sums, step.looked, step.counted)

    def by_layer(
        self, sums: Numbers, looked: NDArray[np.bool_], counted: NDArray[np.bool_]
    ) -> ByLayer:
        """Sum parameters to layers."""
        main = self.main & looked
        reached = main & (sums[1] != ABSENT)
        whole = self._sum(self.main & self.held)
        seen = (whole > 0) & (self._sum(main) == whole)
        gradient = np.sqrt(self._sum(sums[1], reached))
        gradient[~seen | (self._sum(reached) == 0)] = np.nan
        counts = seen & (self._sum(main & counted) == whole)
        weight, step = (np.sqrt(self._sum(sums[at], main)) for at in (0, 2))
        rest = [np.where(counts, self._sum(sums[at], main), np.nan) for at in (4, 5, 6)]
        return ByLayer(
            np.where(seen, weight, np.nan),
            gradient,
            np.where(seen, step, np.nan),
            np.where(seen, self._sum(sums[3], looked), np.nan),
            rest[0],
            rest[1],
            rest[2],
            seen,
        )

    def _sum(
        self, values: Numbers | NDArray[np.bool_], where: NDArray[np.bool_] | None = None
    ) -> Numbers:
        weights = values if where is None else np.where(where, values, 0.0)
        return np.asarray(np.bincount(self.layer, weights, len(self.names)), float)

    def progress(self) -> float | None:
        """Return the latest progress of the whole network; `None` before the first look."""
        return float(self.latest[3].sum()) if self._last else None

    def share(self) -> float | None:
        """Return the progress as a fraction of the latest loss, where that has a meaning."""
        progress, loss = self.progress(), self.loss
        return progress / loss if progress is not None and loss and loss > 0 else None

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
        relative = self.loss is None or not self.loss > 0
        top = np.nanmax(raw, initial=0.0)
        elasticity = raw / (top or 1.0 if relative else self.loss)
        highest = np.maximum.accumulate(elasticity[::-1])[::-1]
        with np.errstate(divide="ignore", invalid="ignore"):
            lost = np.log10(highest / elasticity)
        # A branch that starts at zero has no signal to be sensitive to, but a gradient arrives.
        lost[(output == 0) & (gradient > 0)] = 0.0
        lost[(highest == 0) | ~np.isfinite(elasticity) | ~np.isfinite(highest)] = 0.0
        return elasticity, lost, np.asarray([self.names.index(each) for each in names]), relative

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
        counted=first.counted | second.counted,
        deep=first.deep or second.deep,
        passed=passed,
    )
