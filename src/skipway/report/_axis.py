"""A logarithmic axis whose ends are whole decades, and a linear one with round ends."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

_STEPS = (1, 5, 10, 20, 50, 100)


@dataclass(frozen=True)
class LogAxis:
    """Positions of numbers between two whole decades.

    Attributes:
        low: the decade at the left end.
        high: the decade at the right end.
        step: decades between two hairlines.
    """

    low: int
    high: int
    step: int

    def at(self, logarithm: float) -> float:
        """Return the position of `10 ** logarithm`, 0 at the left end and 1 at the right."""
        place = (logarithm - self.low) / (self.high - self.low)
        return min(1.0, max(0.0, place))

    def ticks(self) -> list[tuple[int, float]]:
        """Return (decade, position) of every hairline."""
        first = math.ceil(self.low / self.step) * self.step
        return [(ten, self.at(ten)) for ten in range(first, self.high + 1, self.step)]


def log_axis(logarithms: Iterable[float]) -> LogAxis:
    """Return the axis that covers all numbers, given by their decimal logarithms."""
    found = list(logarithms) or [0.0]
    low, high = math.floor(min(found) - 0.1), math.ceil(max(found) + 0.05)
    decades = high - low
    if decades < 8:
        return LogAxis(low, high, 1)
    step = next((step for step in _STEPS[1:] if decades / step <= 8), _STEPS[-1])
    if low % step <= step // 3:
        low -= low % step
    return LogAxis(low, high, step)


def round_ends(values: Iterable[float], *, zero: bool = True) -> tuple[float, float]:
    """Return round numbers just below and above all values, for a linear axis."""
    found = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(found), max(found)
    if zero and low >= 0:
        low = 0.0
    span = (high - low) or abs(high) or 1.0
    unit = float(10.0 ** math.floor(math.log10(span)))
    unit = next(u for u in (unit / 5, unit / 2, unit, unit * 2) if span / u <= 8)
    return math.floor(low / unit + 1e-9) * unit, math.ceil(high / unit - 1e-9) * unit
