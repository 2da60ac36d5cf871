"""Reading plain data: numbers that may be missing or not finite, and how they are written."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .._numbers import count, dense

Data = Mapping[str, Any]

# The states of a layer: its class on the page, and the words that go with it.
STATES = {
    "arrives": ("fine", "arrives"),
    "fading": ("watch", "fading"),
    "dying": ("dying", "dying"),
    "still": ("lost", "nothing moves"),
    "broken": ("lost", "not a number"),
}
# From good to bad: a fold shows the worst that it covers.
SEVERITY = {"arrives": 0, "fading": 1, "dying": 2, "still": 3, "broken": 4}

NONE = "–"


def real(value: Any) -> float | None:
    """Return a number of plain data (`"nan"` and `"inf"` travel as words) or `None`."""
    return None if value is None else float(value)


def finite(value: float | None) -> bool:
    """Tell whether there is a number and it is finite."""
    return value is not None and math.isfinite(value)


def log10(value: Any) -> float | None:
    """Return the decimal logarithm, `None` where there is no finite one."""
    number = real(value)
    if number is None or not math.isfinite(number) or number <= 0:
        return None
    return math.log10(number)


def short(value: Any) -> str:
    """Write a number for a dense column."""
    number = real(value)
    if number is None:
        return NONE
    return "NaN" if math.isnan(number) else dense(number)


def plainly(value: Any, digits: int = 3) -> str:
    """Write a loss or a learning rate, without idle zeros: `"0.01"`, `"1e−7"`."""
    number = real(value)
    if number is None or not math.isfinite(number):
        return short(number)
    written = f"{number:.{digits}g}"
    base, _, power = written.partition("e")
    return (f"{base}e{int(power)}" if power else base).replace("-", "−")


def share(value: Any) -> str:
    """Write a share of 1 in percent."""
    number = real(value)
    if number is None or not math.isfinite(number):
        return short(number)
    percent = 100 * number
    if 0 < percent < 0.05:
        return "< 0.1 %"
    near_an_end = 0 < percent < 10 or 99 < percent < 100
    return f"{percent:.1f} %" if near_an_end else f"{percent:.0f} %"


def decades(value: Any) -> str:
    """Write decades lost: one decimal, plain 0 when less than 0.05."""
    number = real(value)
    if number is None or not math.isfinite(number):
        return short(number)
    return f"{number:.1f}" if abs(number) >= 0.05 else "0"


def signed(value: Any, digits: int = 1) -> str:
    """Write a difference with its sign, `"+82.0"`."""
    number = real(value)
    if number is None or not math.isfinite(number):
        return short(number)
    return f"{number:+.{digits}f}".replace("-", "−")


def quantity(value: int | None) -> str:
    """Write a count, or a dash."""
    return NONE if value is None else count(int(value))


def plural(number: int, one: str, many: str | None = None) -> str:
    """Write a count with its noun, `plural(2, "layer")` is `"2 layers"`."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def median(values: Iterable[float]) -> float | None:
    """Return the median of the finite values, `None` where there are none."""
    kept = sorted(value for value in values if math.isfinite(value))
    if not kept:
        return None
    middle = len(kept) // 2
    return kept[middle] if len(kept) % 2 else (kept[middle - 1] + kept[middle]) / 2


def reals(values: Sequence[Any]) -> list[float]:
    """Return numbers of plain data as floats."""
    return [float(value) for value in values]


def shape(sizes: Sequence[int]) -> str:
    """Write a shape as readers know it, `"64 × 32 × 8 × 8"`."""
    return " × ".join(str(size) for size in sizes) or NONE


# Parts of a path that follow themselves at once.
_NESTED = re.compile(r"(?<![^.])((?:[^.]+\.){1,6}?)\1+")


def _times(found: re.Match[str]) -> str:
    if not any(sign.isalpha() for sign in found[1]):
        return found[0]  # numbers alone count something else
    first, *others = found[1].rstrip(".").split(".")
    return f"{first}{'…' if others else ''}×{len(found[0]) // len(found[1])}."


def clipped(name: str, most: int = 28) -> str:
    """Shorten a long name in its middle: a module path is told apart by its two ends.

    Where modules stand in modules of their own kind, as the levels of a U-Net do, how many times
    they do is told: `"level…×3.level.encode.0"`.
    """
    if len(name) > most:
        name = _NESTED.sub(_times, name)
    if len(name) <= most:
        return name
    tail = most * 3 // 5
    return f"{name[: most - tail - 1]}…{name[-tail:]}"


def docs_page(finding: Data) -> str:
    """Return where the documentation has more on a finding: what `skipway docs` is given."""
    return f"stuck#{finding['cause']}"


def sentence(text: str) -> str:
    """Begin with a capital letter."""
    return text[:1].upper() + text[1:]


def named(name: str) -> str:
    """Begin a name that is plain words with a capital letter; any other name stays as it is."""
    return (
        sentence(name) if all(word.isalpha() and word.islower() for word in name.split()) else name
    )


def claim_of(claim: str, why: str) -> str:
    """End a claim with a full stop where its explanation is a sentence of its own."""
    return claim if claim[-1:] in ".:?" or why[:1].islower() else f"{claim}."
