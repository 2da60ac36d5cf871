"""Which of the possible skips along a chain a measured network needs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

# A chain that loses less than this many decades from end to end has nothing to cure.
WORTH_IT = 1.0
# What may be lost, of a chain's whole loss, at an end that is left without skips.
_TRIMMED = 0.05
# So many skips in a row must lose next to nothing before they are left out. One or two say little:
# a plain ReLU network of width 64 loses 0.76 decades over two layers, by draw from 0.5 to 1.1, and
# over its first two, which see the data, 0.29, by draw from 0.16 to 0.4.
_IN_A_ROW = 3


def decades_lost(skips: Sequence[tuple[str, str]], elasticity: Mapping[str, float]) -> list[float]:
    """Return how many decades the gradient loses from the end of each skip back to its start.

    Where it has died out altogether nobody knows; such a skip counts like the worst one.

    Args:
        skips: the layers at their ends, along one chain.
        elasticity: by layer; those that are not there cannot be told.
    """
    tenth = {
        name: math.log10(value)
        for name, value in elasticity.items()
        if math.isfinite(value) and value > 0
    }
    known = [
        max(0.0, tenth[end] - tenth[start]) if start in tenth and end in tenth else None
        for start, end in skips
    ]
    worst = max((each for each in known if each is not None), default=WORTH_IT)
    return [worst if each is None else each for each in known]


def losing_part(lost: Sequence[float]) -> slice:
    """Return the part of a chain's skips from the first that lose gradient to the last.

    An end is left out where next to nothing is lost over a stretch of them, and everything where
    the whole chain loses next to nothing.

    Example:
        >>> losing_part([0.0, 0.0, 0.01, 2.0, 1.9, 2.1, 0.0])
        slice(3, 7, None)
    """
    whole = sum(lost)
    if whole < WORTH_IT:
        return slice(0, 0)
    start, end = _idle(lost), _idle(lost[::-1])
    return slice(start, len(lost) - end)


def _idle(lost: Sequence[float]) -> int:
    """Return how many skips at the beginning can be left out."""
    whole, at = sum(lost), 0
    # A chain that loses all along loses an even share at every skip: that is not nothing.
    little = whole / len(lost) / 4
    while lost[at] < little and sum(lost[: at + 1]) <= _TRIMMED * whole:
        at += 1
    return at if at >= _IN_A_ROW else 0
