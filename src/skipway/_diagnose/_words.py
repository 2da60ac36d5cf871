"""Small pieces of sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .._numbers import count, prose


def code(name: str) -> str:
    """Return the name of a layer as code."""
    return f"`{name}`"


def percent(share: float) -> str:
    """Write a share: `"67 %"`, never rounded up to all or down to none."""
    if 0 < share < 0.01:
        return "less than 1 %"
    if 0.99 < share < 1:
        return "more than 99 %"
    return f"{100 * share:.0f} %"


def plural(number: int, one: str, many: str = "") -> str:
    """Write a count with its noun: `"1 layer"`, `"36 layers"`."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def power(decades: float) -> str:
    """Write a power of ten as a reader would: `"10¹⁷"`."""
    digits = str(round(decades)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"10{digits}"


def decades(value: float) -> str:
    """Write how many decades were lost: `"17.9 decades"`, or that nothing is left."""
    return "all of it" if math.isinf(value) else f"{value:.1f} decades"


def span(names: Sequence[str], total: int) -> str:
    """Write which layers: one, two, or the first to the last with how many of how many."""
    if len(names) == 1:
        return code(names[0])
    if len(names) == total:
        return f"All {plural(total, 'layer')}, {code(names[0])} to {code(names[-1])}"
    if len(names) == 2:
        return f"{code(names[0])} and {code(names[1])}"
    return f"{code(names[0])} to {code(names[-1])}: {count(len(names))} of {count(total)} layers"


def listed(names: Sequence[str], most: int = 4) -> str:
    """Write names as a list that stops after a few."""
    shown = ", ".join(code(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {count(len(names) - most)} more"


def either(parts: Sequence[str]) -> str:
    """Write alternatives: `"a, b or c"`."""
    *first, last = parts
    return f"{', '.join(first)} or {last}" if first else last


def rate(value: float) -> str:
    """Write a learning rate."""
    return f"{value:g}" if 1e-4 <= abs(value) < 1e6 else prose(value)
