"""What the numbers say: paired intervals, the rate that was chosen, the answer."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from .._results import Answer, Interval


def paired(
    treated: Sequence[float], reference: Sequence[float], *, higher_is_better: bool = True
) -> Interval:
    """Return the mean of `treated - reference` with its 95 % Student t interval.

    Args:
        treated: one number a seed.
        reference: of the same seeds, in the same order.
        higher_is_better: which sign counts as a win.

    Example:
        >>> interval = paired([3.0, 4.0, 5.0], [1.0, 2.0, 2.0])
        >>> round(interval.mean, 2), round(interval.low, 2), round(interval.high, 2), interval.wins
        (2.33, 0.9, 3.77, 3)
    """
    differences = [a - b for a, b in zip(treated, reference, strict=True)]
    pairs = len(differences)
    sign = 1 if higher_is_better else -1
    wins = sum(sign * each > 0 for each in differences)
    mean = statistics.fmean(differences)
    half = _half_width(differences)
    return Interval(mean=mean, low=mean - half, high=mean + half, pairs=pairs, wins=wins)


def _half_width(differences: Sequence[float]) -> float:
    pairs = len(differences)
    if pairs < 2:
        return math.inf
    # Imported late: the worker processes import this package too, and never need it.
    from scipy import stats

    # Differences that are all equal have no spread: the interval is that one point.
    error = statistics.stdev(differences) / math.sqrt(pairs)
    return float(stats.t.ppf(0.975, pairs - 1)) * error


def answer(interval: Interval, *, higher_is_better: bool = True) -> Answer:
    """Return what the interval says about the variant.

    Example:
        >>> answer(paired([3.0, 4.0, 5.0], [1.0, 2.0, 2.0]))
        'helped'
    """
    low, high = interval.low, interval.high
    if not higher_is_better:
        low, high = -high, -low
    if low > 0:
        return "helped"
    if high < 0:
        return "worse"
    return "no difference"


def choose_rate(
    validation: Mapping[float, Sequence[float]], *, higher_is_better: bool = True
) -> float:
    """Return the factor with the best mean validation metric; of equals the smallest.

    Example:
        >>> choose_rate({1.0: [90.0, 92.0], 10.0: [97.0, 10.0]})
        1.0
    """
    sign = 1 if higher_is_better else -1
    return max(sorted(validation), key=lambda factor: sign * statistics.fmean(validation[factor]))
