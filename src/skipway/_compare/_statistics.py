"""What the numbers say: paired intervals, the rate that was chosen, the answer.

Seeds are paired: a seed fixes the start and the order of the data for every variant, so that much
of the luck is the same on both sides of a difference.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from .._results import Answer, Evidence, Interval

LEVEL = 0.05
# Of the bootstrap; 9,999 makes the ends of a 95 % interval whole order statistics.
_RESAMPLES = 9999


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


def evidence(
    treated: Sequence[float], reference: Sequence[float], *, corrected_p: float | None = None
) -> Evidence:
    """Return how far the paired difference can be trusted.

    Args:
        treated: one number a seed.
        reference: of the same seeds, in the same order.
        corrected_p: after correction for many variants; by default nothing is corrected.

    Example:
        >>> found = evidence([3.0, 4.0, 5.0, 4.0, 5.0], [1.0, 2.0, 2.0, 1.0, 3.0])
        >>> round(found.p, 4), round(found.sign_p, 4), found.bootstrap_low
        (0.0006, 0.0625, 2.0)
    """
    differences = [a - b for a, b in zip(treated, reference, strict=True)]
    p = p_value(differences)
    low, high = _bootstrap(differences)
    return Evidence(
        p=p,
        corrected_p=p if corrected_p is None else corrected_p,
        sign_p=_sign_test(differences),
        bootstrap_low=low,
        bootstrap_high=high,
        detectable=_detectable(differences),
    )


def p_value(differences: Sequence[float]) -> float:
    """Return the two-sided p of Student's paired t test.

    Example:
        >>> round(p_value([2.0, 2.0, 3.0]), 4)
        0.0198
    """
    pairs = len(differences)
    mean = statistics.fmean(differences)
    if pairs < 2:
        return 1.0
    error = statistics.stdev(differences) / math.sqrt(pairs)
    if error == 0:
        return 0.0 if mean else 1.0
    from scipy import stats

    return float(2 * stats.t.sf(abs(mean) / error, pairs - 1))


def holm(values: Mapping[str, float]) -> dict[str, float]:
    """Return p values corrected for being several (Holm 1979), by name.

    Whoever tries ten variants finds one that "helps" by luck; after this, the chance that any one
    of those that make no difference is called different stays below the level of one test.

    Example:
        >>> holm({"a": 0.01, "b": 0.04, "c": 0.03})
        {'a': 0.03, 'b': 0.06, 'c': 0.06}
    """
    corrected: dict[str, float] = {}
    largest = 0.0
    for rank, name in enumerate(sorted(values, key=values.__getitem__)):
        largest = max(largest, min(1.0, (len(values) - rank) * values[name]))
        corrected[name] = largest
    return {name: corrected[name] for name in values}


def _sign_test(differences: Sequence[float]) -> float:
    decided = [each for each in differences if each]
    if not decided:
        return 1.0
    from scipy import stats

    wins = sum(each > 0 for each in decided)
    return float(stats.binomtest(wins, len(decided)).pvalue)


def _bootstrap(differences: Sequence[float]) -> tuple[float, float]:
    if len(differences) < 2:
        return -math.inf, math.inf
    if len(set(differences)) == 1:
        return differences[0], differences[0]
    import numpy
    from scipy import stats

    found = stats.bootstrap(
        (numpy.asarray(differences, dtype=numpy.float64),),
        numpy.mean,
        n_resamples=_RESAMPLES,
        method="percentile",
        random_state=numpy.random.default_rng(0),
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def _detectable(differences: Sequence[float], power: float = 0.8) -> float:
    """Return the true difference that the t test would find with this power."""
    pairs = len(differences)
    if pairs < 2:
        return math.inf
    from scipy import optimize, stats

    freedom = pairs - 1
    critical = stats.t.ppf(1 - LEVEL / 2, freedom)
    # The other tail adds nothing that a reader could see.
    effect = optimize.brentq(
        lambda size: stats.nct.sf(critical, freedom, size * math.sqrt(pairs)) - power, 0.01, 100
    )
    return float(effect) * statistics.stdev(differences)


def answer(
    interval: Interval, *, higher_is_better: bool = True, corrected_p: float | None = None
) -> Answer:
    """Return what the interval says about the variant.

    Args:
        interval: of the paired difference.
        higher_is_better: which direction is good.
        corrected_p: where several variants were tried; then it decides, not the interval alone.

    Example:
        >>> answer(paired([3.0, 4.0, 5.0], [1.0, 2.0, 2.0]))
        'helped'
        >>> answer(paired([3.0, 4.0, 5.0], [1.0, 2.0, 2.0]), corrected_p=0.06)
        'no difference'
    """
    low, high = interval.low, interval.high
    if corrected_p is not None and corrected_p >= LEVEL:
        return "no difference"
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
