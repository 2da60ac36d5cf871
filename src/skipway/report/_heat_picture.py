"""The heat map of a watched training as SVG: the loss above, the layers below, findings on it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from ._axis import log_axis
from ._heat import BANDS, Heat, Mark
from ._names import clipped_apart
from ._values import short

WIDTH = 880
_LOSS, _HEAD = 64, 26  # px: the loss curve, and the numbers of the findings above the map
Paint = Callable[[str], str]
"""Turns a role (`"fine"`, `"dying"`, `"lost"`, `"quiet"`, `"ink"`) into a colour."""


@dataclass(frozen=True)
class Frame:
    """Where the map lies in its picture, in px; `wide` and `tall` are those of one cell."""

    left: float
    top: float
    wide: float
    tall: float
    bottom: float


def frame(made: Heat) -> Frame:
    """Place the map beside the names of its rows and below the loss."""
    rows = len(made.names)
    tall = max(min(18.0, 640 / rows), min(3.0, 900 / rows))
    longest = max(map(len, clipped_apart(made.names, 26))) if tall >= 6 else 0
    left = max(40.0, 8 + 6.7 * longest)
    wide = (WIDTH - left - 60) / made.columns
    top = (_LOSS if any(each is not None for each in made.loss) else 0) + _HEAD
    return Frame(left, float(top), wide, tall, top + tall * rows)


def numbers(made: Heat) -> dict[str, object]:
    """Return what the script reads off the map: two significant digits each."""
    place = frame(made)
    return {
        "names": made.names,
        "steps": made.steps,
        "values": [[_two(value) for value in row] for row in made.values],
        "loss": [None if value is None else float(f"{value:.4g}") for value in made.loss],
        "frame": [place.left, place.top, place.wide, place.tall, WIDTH],
    }


def _two(value: float | None) -> float | str | None:
    if value is None:
        return None
    return float(f"{value:.2g}") if math.isfinite(value) else short(value)


def picture(made: Heat, paint: Paint, *, links: bool) -> Markup:
    """Return the map.

    Args:
        made: what it shows.
        paint: the colours of the place where it stands.
        links: whether the numbers of findings link to them.
    """
    place = frame(made)
    left, top, wide, tall, bottom = place.left, place.top, place.wide, place.tall, place.bottom
    parts = [
        _loss(made, paint, left, wide),
        _names(made, left, top, tall),
        _bands(made, paint, left, top, wide, tall),
        *(_box(mark, paint, left, top, wide, tall) for mark in made.marks),
        *_numbers(made, paint, left, top, wide, links),
        _ticks(made, paint, left, bottom, wide),
    ]
    style = "display:block;max-width:100%;height:auto"
    role = "group" if links and made.marks else "img"  # a picture holds no links
    said = f"{len(made.names)} layers over the steps of the training, {len(made.marks)} events"
    return Markup(
        f'<svg class="heat" viewBox="0 0 {WIDTH} {bottom + 26:.0f}" width="{WIDTH}" '
        f'style="{style}" font-size="11" font-family="ui-monospace,monospace" role="{role}" '
        f'aria-label="{said}">{Markup("").join(parts)}</svg>'
    )


def _loss(made: Heat, paint: Paint, left: float, wide: float) -> Markup:
    known = [(at, value) for at, value in enumerate(made.loss) if value is not None and value > 0]
    if not known:
        return Markup("")
    axis = log_axis([math.log10(value) for _, value in known])
    points = " ".join(
        f"{left + (at + 0.5) * wide:.1f},{4 + (_LOSS - 12) * (1 - axis.at(math.log10(value))):.1f}"
        for at, value in known
    )
    line = f'<polyline points="{points}" fill="none" stroke="{paint("ink")}" stroke-width="1.4"/>'
    label = f'<text x="0" y="{_LOSS / 2:.0f}" fill="{paint("quiet")}">loss</text>'
    end = left + (known[-1][0] + 1) * wide + 6
    height = 8 + (_LOSS - 12) * (1 - axis.at(math.log10(known[-1][1])))
    value = (
        f'<text x="{end:.1f}" y="{height:.1f}" fill="{paint("ink")}">{short(known[-1][1])}</text>'
    )
    return Markup(line + label + value)


def _names(made: Heat, left: float, top: float, tall: float) -> Markup:
    if tall < 6:
        return Markup("")
    every = math.ceil(11 / tall)
    return Markup("").join(
        Markup(
            f'<text x="0" y="{top + (at + 0.5) * tall + 4:.1f}" fill="currentColor">'
            f"{escape(name)}</text>"
        )
        for at, name in enumerate(clipped_apart(made.names, 26))
        if at % every == 0
    )


def _bands(made: Heat, paint: Paint, left: float, top: float, wide: float, tall: float) -> Markup:
    paths: dict[int, list[str]] = {}
    gap = 1.0 if tall >= 8 else 0.0
    for at, row in enumerate(made.cells):
        for start, end, band in _runs(row):
            x, y = left + start * wide, top + at * tall
            paths.setdefault(band, []).append(
                f"M{x:.1f} {y:.1f}h{(end - start) * wide:.1f}v{tall - gap:.1f}"
                f"h{-(end - start) * wide:.1f}z"
            )
    return Markup("").join(
        Markup(
            f'<path d="{"".join(pieces)}" fill="{paint(BANDS[band][1])}" '
            f'fill-opacity="{BANDS[band][2]}"/>'
        )
        for band, pieces in sorted(paths.items())
    )


def _runs(row: Sequence[int | None]) -> list[tuple[int, int, int]]:
    found: list[tuple[int, int, int]] = []
    for at, band in enumerate(row):
        if band is None:
            continue
        if found and found[-1][1] == at and found[-1][2] == band:
            found[-1] = (found[-1][0], at + 1, band)
        else:
            found.append((at, at + 1, band))
    return found


def _box(mark: Mark, paint: Paint, left: float, top: float, wide: float, tall: float) -> Markup:
    x, width = left + mark.start * wide, max(1.0, (mark.end - mark.start) * wide)
    ink = paint("ink")
    return Markup("").join(
        Markup(
            f'<rect x="{x:.1f}" y="{top + first * tall:.1f}" width="{width:.1f}" '
            f'height="{max(tall / 2, (end - first) * tall - 1):.1f}" fill="none" stroke="{ink}"/>'
        )
        for first, end in _neighbours(mark.rows)
    )


def _numbers(
    made: Heat, paint: Paint, left: float, top: float, wide: float, links: bool
) -> list[Markup]:
    """Number the events above the map; those of one column share a place."""
    columns: dict[float, list[Mark]] = {}
    for mark in made.marks:
        columns.setdefault(mark.start, []).append(mark)
    ink = paint("ink")
    found = []
    for column, marks in columns.items():
        x = left + column * wide
        numbers = sorted({mark.finding for mark in marks if mark.finding is not None})
        anchor = "start" if column < 1 else "middle"
        said = escape("; ".join(f"step {mark.step}: {mark.words}" for mark in marks))
        drawn = Markup(
            f'<g><title>{said}</title><line x1="{x:.1f}" x2="{x:.1f}" y1="{top - 8}" y2="{top}" '
            f'stroke="{ink}"/><text x="{x:.1f}" y="{top - 11}" text-anchor="{anchor}" '
            f'fill="{ink}">{",".join(map(str, numbers))}</text></g>'
        )
        first = next(iter(numbers), None)
        found.append(
            Markup(f'<a href="#finding-{first}">{drawn}</a>') if links and first else drawn
        )
    return found


def _neighbours(rows: Sequence[int]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for row in rows:
        if found and found[-1][1] == row:
            found[-1] = (found[-1][0], row + 1)
        else:
            found.append((row, row + 1))
    return found


def _ticks(made: Heat, paint: Paint, left: float, bottom: float, wide: float) -> Markup:
    return Markup("").join(
        Markup(
            f'<text x="{left + (column + 0.5) * wide:.1f}" y="{bottom + 16:.1f}" '
            f'text-anchor="middle" fill="{paint("quiet")}">{label}</text>'
        )
        for label, column in made.ticks
    )
