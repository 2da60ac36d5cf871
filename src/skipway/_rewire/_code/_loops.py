"""Lines that repeat become a loop again: fx unrolls what the user wrote as one.

Two lines are alike when they differ in whole numbers only, and lines repeat when every such number
grows by the same step each time: `x = self.hidden[0](x)`, `x = self.hidden[1](x)` ...
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ._statements import Line

# A whole number that stands alone: no part of a name, of a fraction, or of an exponent.
_NUMBER = re.compile(r"(?<![\w.])\d+(?![\w.])")
_LONGEST = 48  # lines that repeat together
_LEAST = 3  # times, else it stays written out
_INDENT = "    "


@dataclass(frozen=True)
class Pattern:
    """A text with its whole numbers taken out."""

    template: str
    numbers: tuple[int, ...]


def pattern_of(text: str) -> Pattern:
    """Return the text with a NUL for each whole number, and the numbers."""
    return Pattern(_NUMBER.sub("\0", text), tuple(map(int, _NUMBER.findall(text))))


def folded(lines: Sequence[Line]) -> list[Line]:
    """Return the body of a forward with loops where it repeats."""
    patterns = [pattern_of(line.text) for line in lines]
    found: list[Line] = []
    at = 0
    while at < len(lines):
        length, times = _repetition(lines, patterns, at)
        if times >= _LEAST:
            found += _loop(lines, patterns, at, length, times)
            at += length * times
        else:
            found.append(lines[at])
            at += 1
    return found


def progression(rows: Sequence[Sequence[int]]) -> tuple[int, ...] | None:
    """Return by how much each number grows from row to row; `None` where one does not."""
    steps = tuple(b - a for a, b in zip(rows[0], rows[1], strict=True))
    for before, after in pairwise(rows):
        if any(b - a != step for a, b, step in zip(before, after, steps, strict=True)):
            return None
    return steps


def _repetition(lines: Sequence[Line], patterns: Sequence[Pattern], at: int) -> tuple[int, int]:
    """Return how many lines repeat from here, and how often: what saves most lines."""
    best = (1, 1)
    if _is_return(lines[at]):
        return best
    for length in range(1, min(_LONGEST, (len(lines) - at) // 2) + 1):
        times = _times(lines, patterns, at, length)
        if times >= _LEAST and (times - 1) * length > (best[1] - 1) * best[0]:
            best = length, times
    return best


def _times(lines: Sequence[Line], patterns: Sequence[Pattern], at: int, length: int) -> int:
    times = 1
    while at + length * (times + 1) <= len(lines):
        here = at + length * times
        for offset in range(length):
            a, b = patterns[here - length + offset], patterns[here + offset]
            alike = (
                a.template == b.template and lines[at + offset].added == lines[here + offset].added
            )
            if not alike or (times > 1 and not _goes_on(patterns, here + offset, length)):
                return times
        times += 1
    return times


def _goes_on(patterns: Sequence[Pattern], index: int, length: int) -> bool:
    rows = [patterns[index - 2 * length], patterns[index - length], patterns[index]]
    return progression([row.numbers for row in rows]) is not None


def _is_return(line: Line) -> bool:
    return line.text.lstrip().startswith("return")


def _loop(
    lines: Sequence[Line], patterns: Sequence[Pattern], at: int, length: int, times: int
) -> list[Line]:
    steps = [
        step
        for offset in range(length)
        for step in _steps(patterns[at + offset], patterns[at + offset + length])
    ]
    starts = [number for offset in range(length) for number in patterns[at + offset].numbers]
    moving = [(start, step) for start, step in zip(starts, steps, strict=True) if step]
    name = _free(lines) if moving else "_"
    head, base = _head(name, moving, times)
    body = [
        Line(_INDENT * bool(line.text) + _written(pattern, after, name, base), line.added)
        for line, pattern, after in zip(
            lines[at : at + length],
            patterns[at : at + length],
            patterns[at + length : at + 2 * length],
            strict=True,
        )
    ]
    blank = [body.pop(0)] if not body[0].text else []
    return [*blank, Line(f"{_INDENT * 2}{head}"), *body]


def _steps(pattern: Pattern, after: Pattern) -> tuple[int, ...]:
    return tuple(b - a for a, b in zip(pattern.numbers, after.numbers, strict=True))


def _head(name: str, moving: Sequence[tuple[int, int]], times: int) -> tuple[str, tuple[int, int]]:
    """Return the loop's first line, and what its variable starts at and grows by."""
    start, step = moving[0] if moving else (0, 1)
    if any(each != step for _, each in moving) or step < 0:
        start, step = 0, 1
    stop = start + step * times
    bounds = f"{start}, {stop}" if start or step != 1 else str(stop)
    by = f", {step}" if step != 1 else ""
    return f"for {name} in range({bounds}{by}):", (start, step)


def _written(pattern: Pattern, after: Pattern, name: str, base: tuple[int, int]) -> str:
    steps = iter(zip(pattern.numbers, _steps(pattern, after), strict=True))

    def number(_: re.Match[str]) -> str:
        value, step = next(steps)
        if step == 0:
            return str(value)
        factor = step // base[1]
        offset = value - factor * base[0]
        product = name if abs(factor) == 1 else f"{abs(factor)} * {name}"
        if factor < 0:
            return f"{offset} - {product}"
        return product if offset == 0 else f"{product} {'+' if offset > 0 else '-'} {abs(offset)}"

    return re.sub("\0", number, pattern.template)


def _free(lines: Sequence[Line]) -> str:
    used = {name for line in lines for name in re.findall(r"[A-Za-z_]\w*", line.text)}
    return next(name for name in ("i", "j", "k", "n", "step", "number") if name not in used)
