"""The spine as one static SVG, for notebooks; every style is an attribute."""

from __future__ import annotations

import re
from collections.abc import Sequence

from markupsafe import Markup, escape

from . import _spine
from ._cells import Cell, FoldCell, FoldRow, Row
from ._rows import Side

FINE, WATCH, DYING, LOST, QUIET = "#3b87cc", "#7d8895", "#d07a1d", "#c4502a", "#7d8895"
COLOURS = {"fine": FINE, "watch": WATCH, "dying": DYING, "lost": LOST}
_INK = 'fill="none" stroke="currentColor"'
# What the page's style sheet says of each class, as attributes.
_LOOKS = {
    "n fine": f'fill="{FINE}"',
    "n watch": f'fill="{WATCH}"',
    "n ring watch": f'fill="none" stroke="{WATCH}" stroke-width="1.6"',
    "n ring dying": f'fill="none" stroke="{DYING}" stroke-width="1.6"',
    "n cross": f'fill="none" stroke="{LOST}" stroke-width="1.7"',
    "sp": f'fill="none" stroke="{QUIET}"',
    "arc": f'{_INK} stroke-width="1.3" stroke-dasharray="3 2"',
    "arc solid": f'{_INK} stroke-width="1.3"',
    "arc mini": f'{_INK} stroke-width=".9"',
    "head": 'fill="currentColor"',
    "al": 'fill="currentColor" font-size="9.5"',
}
_CLASS = re.compile('class="([^"]*)"')
_RAISED = re.compile("<sup>(.*?)</sup>")
_SUPERSCRIPT = str.maketrans("−0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_WIDTH, _NUMBER = 880, 66


def network(sides: Sequence[Side]) -> Markup:
    """Return the network of one or two sides."""
    made = _spine.spine(sides)
    heights = [row.height if isinstance(row, FoldRow) else 20 for row in made.entries]
    fixed = made.name_width + sum(width + _NUMBER for _, _, width in made.sides)
    bar = (_WIDTH - fixed) / len(made.sides)
    parts, y = [_network_head(made, bar)], 40
    for row, height in zip(made.entries, heights, strict=True):
        label = row.label if isinstance(row, FoldRow) else row.name
        flags = [] if isinstance(row, FoldRow) else [f" ({flag})" for flag in row.flags]
        parts.append(_text(0, y + height / 2 + 4, label + "".join(flags)))
        parts.append(_side_cells(made, row, y, height, bar))
        y += height
    box = f"0 0 {_WIDTH} {y}"
    style = "display:block;max-width:100%;height:auto;margin:12px 0"
    label = "; ".join(f"{title}: {loss}" for title, loss, _ in made.sides)
    return Markup(
        f'<svg viewBox="{box}" width="{_WIDTH}" style="{style}" font-size="12" '
        f'font-family="ui-monospace,monospace" role="img" '
        f'aria-label="{escape(label)}">{Markup("").join(parts)}</svg>'
    )


def _network_head(made: _spine.Spine, bar: float) -> Markup:
    parts, x = [], float(made.name_width)
    for title, loss, width in made.sides:
        parts.append(_text(x + width, 14, f"{title}, {loss}"))
        ends = (made.ticks[0], made.ticks[-1]) if made.ticks else ()
        parts += [
            Markup(
                f'<text x="{x + width + bar * at / 100:.0f}" y="32" font-size="10" '
                f'text-anchor="middle" fill="{QUIET}">{_power(ten)}</text>'
            )
            for ten, at in ends
        ]
        x += width + bar + _NUMBER
    return Markup("").join(parts)


def _power(label: object) -> str:
    """Return a tick of the page as plain text: a raised exponent stays raised."""
    return _RAISED.sub(lambda found: found.group(1).translate(_SUPERSCRIPT), str(label))


def _side_cells(
    made: _spine.Spine, row: Row | FoldRow, y: float, height: int, bar: float
) -> Markup:
    parts, x = [], float(made.name_width)
    cells: Sequence[Cell | FoldCell] = row.cells
    for (_, _, width), cell in zip(made.sides, cells, strict=True):
        piece = made.defs[cell.lane if isinstance(cell, Cell) else cell.closed]
        # A nested svg clips: each row shows its own slice of every arc.
        parts.append(
            Markup(
                f'<svg x="{x:g}" y="{y:g}" width="{width}" height="{height}">{_styled(piece)}</svg>'
            )
        )
        left = x + width
        if isinstance(cell, Cell):
            if cell.width is not None:
                parts.append(_bar(left, y + 7, bar * cell.width / 100, 6, cell.state))
            elif cell.word:
                parts.append(_text(left + 6, y + 14, cell.word))
            parts.append(_text(left + bar + _NUMBER - 8, y + 14, cell.number or " ", end=True))
        else:
            parts += [
                _bar(left, y + top, bar * size / 1000, 2, state) for top, size, state in cell.bars
            ]
            number = left + bar + _NUMBER - 8
            parts.append(_text(number, y + height / 2 - 3, cell.first, end=True))
            parts.append(_text(number, y + height / 2 + 11, cell.last, end=True))
        x = left + bar + _NUMBER
    return Markup("").join(parts)


def _bar(x: float, y: float, width: float, height: int, state: str) -> Markup:
    return Markup(
        f'<rect x="{x:.1f}" y="{y:g}" width="{width:.1f}" height="{height}" '
        f'fill="{COLOURS[state]}"/>'
    )


def _text(x: float, y: float, words: str, *, end: bool = False) -> Markup:
    anchor = ' text-anchor="end"' if end else ""
    return Markup(
        f'<text x="{x:.0f}" y="{y:.0f}"{anchor} fill="currentColor">{escape(words)}</text>'
    )


def _styled(piece: str) -> str:
    return _CLASS.sub(lambda found: _LOOKS[found.group(1)], piece)
