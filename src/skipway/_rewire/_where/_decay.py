"""Which of the possible skips a measured network needs: those where the gradient is lost."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..._results import Diagnosis, PlannedSkip

# A run that loses less than this from end to end has nothing to cure.
_WORTH_IT = 1.0
# What may be lost, of a run's whole loss, at an end that is left without skips.
_TRIMMED = 0.05
# So many skips in a row must lose next to nothing before they are left out. One or two say little:
# a plain ReLU network of width 64 loses 0.76 decades over two layers, by draw from 0.5 to 1.1, and
# over its first two, which see the data, 0.29, by draw from 0.16 to 0.4.
_IN_A_ROW = 3


def losing_part(
    runs: list[list[PlannedSkip]], diagnosis: Diagnosis | None
) -> list[list[PlannedSkip]]:
    """Keep the skips of every run from the first layers that lose gradient to the last.

    Without a diagnosis, or where no run loses anything by itself, all are kept.
    """
    if diagnosis is None:
        return runs
    lost = _decades(diagnosis)
    worth = [run for run in runs if sum(_drops(run, lost)) >= _WORTH_IT]
    return [_trimmed(run, _drops(run, lost)) for run in worth] or runs


def said(
    skips: Sequence[PlannedSkip], runs: list[list[PlannedSkip]], diagnosis: Diagnosis | None
) -> str:
    """Say why the skips are where they are."""
    first, last = skips[0].source, skips[-1].destination
    where = f"One skip around every two weight layers, from `{first}` to `{last}`"
    if diagnosis is None:
        return f"{where}: wherever layers follow each other with no skip."
    lost = _decades(diagnosis)
    decades = sum(_drops(skips, lost))
    kept, all_ = len(skips), sum(map(len, runs))
    if decades < _WORTH_IT:
        return f"{where}: no part loses much more gradient than the others."
    amount = f"the gradient loses {decades:.1f} decades on its way back through these layers"
    left = "place" if all_ - kept == 1 else f"{all_ - kept} places"
    rest = "" if kept == all_ else f" and little in the other {left}"
    return f"{where}: {amount}{rest}."


def _decades(diagnosis: Diagnosis) -> dict[str, float]:
    """Return `log10` of every layer's elasticity, where it can be told from 0."""
    return {
        layer.name: math.log10(layer.elasticity)
        for layer in diagnosis.layers
        if math.isfinite(layer.elasticity) and layer.elasticity > 0
    }


def _drops(run: Sequence[PlannedSkip], lost: dict[str, float]) -> list[float]:
    """Return how many decades the gradient loses from the end of each skip back to its start.

    Where it has died out altogether nobody knows; such a skip counts like the worst one.
    """
    known = {
        skip: max(0.0, lost[skip.destination] - lost[skip.source])
        for skip in run
        if skip.source in lost and skip.destination in lost
    }
    worst = max(known.values(), default=_WORTH_IT)
    return [known.get(skip, worst) for skip in run]


def _trimmed(run: list[PlannedSkip], drops: list[float]) -> list[PlannedSkip]:
    """Drop the skips at an end where next to nothing is lost over a stretch of them."""
    budget = _TRIMMED * sum(drops)
    # A chain that loses all along loses an even share at every skip: that is not nothing.
    little = sum(drops) / len(drops) / 4
    start, end = 0, len(run)
    while sum(drops[: start + 1]) <= budget and drops[start] < little:
        start += 1
    while sum(drops[end - 1 :]) <= budget and drops[end - 1] < little:
        end -= 1
    if start < _IN_A_ROW:
        start = 0
    if len(run) - end < _IN_A_ROW:
        end = len(run)
    return run[start:end]
