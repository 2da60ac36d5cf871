"""How a number is written for a reader: in prose, in a dense column, as a count."""

from __future__ import annotations

import math

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def apart(*values: float) -> list[str]:
    """Write numbers of one sentence with two digits, or with up to four to tell them apart.

    Example:
        >>> apart(1.386, 1.388), apart(2.3, 1.9), apart(2.3, 2.3000001)
        (['1.386', '1.388'], ['2.3', '1.9'], ['2.3', '2.3'])
    """
    written = {digits: [prose(value, digits) for value in values] for digits in (2, 3, 4)}
    most = len(set(written[4]))
    return next(each for each in written.values() if len(set(each)) == most)


def prose(value: float, digits: int = 2) -> str:
    """Write `value` with two significant digits, or as many as given, as a sentence would.

    Example:
        >>> prose(8.13e-20), prose(0.0123), prose(1234.5), prose(0.0)
        ('8.1 × 10⁻²⁰', '0.012', '1,200', '0')
    """
    if not math.isfinite(value):
        return dense(value)
    if value == 0:
        return "0"
    mantissa, exponent = _rounded(value, digits)
    if -4 <= exponent <= 5:
        return _plain(float(f"{value:.{digits - 1}e}"), exponent, digits)
    power = f"10{str(exponent).translate(_SUPERSCRIPT)}"
    return f"{mantissa} × {power}".replace("-", "−")


def dense(value: float) -> str:
    """Write `value` with two significant digits, for a column of numbers.

    Example:
        >>> dense(8.13e-20), dense(0.21), dense(3.14159), dense(float("inf"))
        ('8.1e−20', '0.21', '3.1', '∞')
    """
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    mantissa, exponent = _rounded(value)
    if -3 <= exponent <= 3:
        return _plain(float(f"{value:.1e}"), exponent)
    return f"{mantissa}e{exponent}".replace("-", "−")


def count(value: int) -> str:
    """Write a count with thousands separated.

    Example:
        >>> count(4096)
        '4,096'
    """
    return f"{value:,}"


def _rounded(value: float, digits: int = 2) -> tuple[str, int]:
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return mantissa, int(exponent)


def _plain(value: float, exponent: int, digits: int = 2) -> str:
    decimals = max(0, digits - 1 - exponent)
    return f"{value:,.{decimals}f}".replace("-", "−")
