"""A `Picture` in a terminal: braille dots for lines, bars, and shades for a grid."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.text import Text

if TYPE_CHECKING:
    from ._picture import Picture

WIDTH, HEIGHT = 56, 11  # of the field of a line drawing, in characters
COLOURS = ("#3b87cc", "#d1782f", "#4f9d69", "#9b6bb3", "#b0a030")
_DASHES = (("──", 1, 1), ("╌╌", 6, 3), ("┈┈", 4, 1), ("─┈", 9, 6), ("··", 6, 1))  # sign, period, on
_BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # of a braille cell, row by row


def draw(picture: Picture) -> Text:
    """Return the picture as text of at most 80 columns."""
    body = {"lines": _lines, "bars": _bars, "grid": _grid}[picture.kind](picture)
    return Text.assemble((picture.title, "bold"), "\n\n", body)


def show(value: float) -> str:
    """Return a number as one writes it beside an axis.

    Example:
        >>> show(0.25), show(1e-15), show(0), show(12000)
        ('0.25', '1e-15', '0', '1.2e4')
    """
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:.3g}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}"


def _scaled(picture: Picture) -> dict[str, list[float | None]]:
    """Return the values as they lie on the axis; what has no place on it becomes None."""

    def place(value: float) -> float | None:
        if not math.isfinite(value) or (picture.log and value <= 0):
            return None
        return math.log10(value) if picture.log else value

    return {name: [place(value) for value in values] for name, values in picture.rows.items()}


def _unscaled(picture: Picture, value: float) -> float:
    return 10**value if picture.log else value


def _lines(picture: Picture) -> Text:
    rows = _scaled(picture)
    values = [value for each in rows.values() for value in each if value is not None]
    low, high = min(values, default=0.0), max(values, default=1.0)
    cells = [[0] * WIDTH for _ in range(HEIGHT)]
    colour = [[""] * WIDTH for _ in range(HEIGHT)]
    for index, row in enumerate(rows.values()):
        _, period, on = _DASHES[index % len(_DASHES)]
        for x, y in _points(row, low, high):
            if x % period >= on:
                continue
            cells[y // 4][x // 2] |= _BITS[y % 4][x % 2]
            colour[y // 4][x // 2] = COLOURS[index % len(COLOURS)]
    text = Text(f"{picture.y_name}\n")
    marks = {0: high, HEIGHT // 2: (low + high) / 2, HEIGHT - 1: low}
    for y, line in enumerate(cells):
        mark = show(_unscaled(picture, marks[y])) if y in marks else ""
        text.append(f"{mark:>9} │")
        for bits, style in zip(line, colour[y], strict=True):
            text.append(chr(0x2800 + bits), style)
        text.append("\n")
    return text.append_text(_below(picture))


def _points(row: list[float | None], low: float, high: float) -> list[tuple[int, int]]:
    """Return the dots of one line, `(x, y)` from the top left."""
    span, columns, height = (high - low) or 1.0, 2 * WIDTH, 4 * HEIGHT
    dots: list[tuple[int, int]] = []
    for x in range(columns):
        at = x / (columns - 1) * (len(row) - 1)
        a, b = row[math.floor(at)], row[math.ceil(at)]
        if a is None or b is None:
            continue
        value = a + (b - a) * (at - math.floor(at))
        y = round((high - value) / span * (height - 1))
        # Where the line is steep its dots are joined.
        last = dots[-1][1] if dots and dots[-1][0] == x - 1 else y
        dots += [(x, between) for between in range(min(y, last + 1), max(y, last - 1))]
        dots.append((x, y))
    return dots


def _below(picture: Picture) -> Text:
    first, last = (show(float(picture.x[i])) for i in (0, -1))
    middle = picture.x_name.center(WIDTH - len(first) - len(last))
    text = Text(f"{'':>9} └{'─' * WIDTH}\n{'':>11}{first}{middle}{last}\n{'':>11}")
    for index, name in enumerate(picture.rows):
        sign = _DASHES[index % len(_DASHES)][0]
        text.append(f"{sign} ", COLOURS[index % len(COLOURS)]).append(f"{name}   ")
    if picture.log and any(value == 0 for row in picture.rows.values() for value in row):
        text.append(f"\n{'':>11}Where a line is missing, the value is exactly 0.")
    return text


def _bars(picture: Picture) -> Text:
    rows = {name: values[0] for name, values in _scaled(picture).items()}
    values = [value for value in rows.values() if value is not None]
    low = min(values, default=0.0) - 1 if picture.log else 0.0
    span = (max(values, default=1.0) - low) or 1.0
    label = max(map(len, rows))
    text = Text(picture.y_name + "\n")
    for name, value in rows.items():
        length = 0 if value is None else round((value - low) / span * (60 - label))
        text.append(f"{name:>{label}} ").append("█" * length, COLOURS[0])
        text.append(f" {show(picture.rows[name][0])}\n")
    return text


def _grid(picture: Picture) -> Text:
    values = [value for row in picture.rows.values() for value in row]
    low, span = min(values), (max(values) - min(values)) or 1.0
    label = max(map(len, picture.rows))
    text = Text(f"{picture.y_name}\n{'':>{label}} ")
    text.append("".join(f"{name:^8}" for name in map(str, picture.x)) + "\n")
    for name, row in picture.rows.items():
        text.append(f"{name:>{label}} ")
        for value in row:
            shade = "░▒▓█"[min(3, int(4 * (value - low) / span))]
            text.append(shade * 2, COLOURS[0]).append(f"{show(value):<5} ")
        text.append("\n")
    return text
