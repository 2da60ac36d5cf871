"""How the metric of a comparison is written."""

from __future__ import annotations

import math
from typing import Any

from ._values import NONE, Data, finite, real


def name(comparison: Data) -> str:
    """Return the metric on the test set, in words: `"test accuracy"`."""
    return f"test {comparison['metric']}"


def unit(comparison: Data) -> str:
    """Return what stands behind a value."""
    return " %" if comparison["metric"] == "accuracy" else ""


def points(comparison: Data) -> str:
    """Return what differences are counted in, `"points"` or nothing."""
    return str(comparison["unit"])


def bare(value: Any, comparison: Data) -> str:
    """Write a value without its unit."""
    number = real(value)
    if number is None:
        return NONE
    if not math.isfinite(number):
        return NONE if math.isnan(number) else ("∞" if number > 0 else "−∞")
    if comparison["metric"] == "accuracy":
        return f"{number:.1f}"
    return _three(number)


def value(number: Any, comparison: Data) -> str:
    """Write a value with its unit."""
    written = bare(number, comparison)
    return written + unit(comparison) if finite(real(number)) else written


def difference(number: Any, comparison: Data) -> str:
    """Write a difference with its sign."""
    size = real(number)
    if size is None or not math.isfinite(size):
        return bare(number, comparison)
    sign = "−" if size < 0 else "+"
    return sign + bare(abs(size), comparison)


def _three(number: float) -> str:
    """Write three significant digits."""
    if number != 0 and not 1e-3 <= abs(number) < 1e5:
        return f"{number:.1e}".replace("e-0", "e−").replace("e+0", "e").replace("-", "−")
    decimals = 2 if number == 0 else max(0, 2 - math.floor(math.log10(abs(number))))
    return f"{number:,.{decimals}f}".replace("-", "−")
