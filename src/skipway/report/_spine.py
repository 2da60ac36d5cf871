"""Where the gradient dies: one row per layer, before and after, on one logarithmic axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import _card, _drawing, _lanes, _row_cards
from ._arcs import Arc, Bus
from ._axis import LogAxis, log_axis
from ._cells import Defs, FoldRow, Row, entries
from ._rows import Rows, Side, rows
from ._values import Data, decades, finite, log10, real
from ._words import markup


def title(diagnosis: Data) -> str:
    """Return the title of the section: nothing dies in a healthy network."""
    sick = any(layer["state"] in ("dying", "still", "broken") for layer in diagnosis["layers"])
    return "Where it dies" if sick else "Layer by layer"


def axis(found: Rows) -> LogAxis:
    """Return the axis that both sides share."""
    logs = (log10(layer["elasticity"]) for side in found.readings for layer in side if layer)
    return log_axis([log for log in logs if log is not None])


@dataclass(frozen=True)
class Spine:
    """All that the template needs."""

    title: str
    entries: Sequence[Row | FoldRow]
    sides: Sequence[tuple[str, str, int]]
    columns: Sequence[str]
    ticks: Sequence[tuple[object, float]]
    grid: tuple[float, float]
    defs: Mapping[str, str]
    selected: int
    card: Mapping[str, Any]
    data: object
    name_width: int
    undrawn: int
    drawing: _drawing.Drawing | None
    broken: bool
    had: bool
    proposed: bool


def spine(sides: Sequence[Side]) -> Spine:
    """Lay the table out; `sides` are one or two, before and after."""
    found, defs = rows(sides), Defs()
    scale = axis(found)
    drawn = [
        _lanes.lanes([layer["state"] if layer else None for layer in readings], *both, found.folds)
        for readings, both in zip(found.readings, found.drawn, strict=True)
    ]
    selected = _selected(sides[0].diagnosis, found)
    fields = _card.labels(found.readings)
    lines: list[Arc | Bus] = [arc for simple, _ in found.drawn for arc in simple]
    lines += [bus for _, buses in found.drawn for bus in buses]
    columns = [side.column for side in sides]
    every_entry = entries(found, scale, drawn, defs)
    return Spine(
        title=title(sides[0].diagnosis),
        entries=[entry for entry in every_entry if isinstance(entry, FoldRow) or not entry.inner],
        sides=[
            (side.title, loss(side.diagnosis), lane.width)
            for side, lane in zip(sides, drawn, strict=True)
        ],
        columns=columns,
        ticks=[(_power(ten), 100 * place) for ten, place in scale.ticks()],
        grid=_grid(scale),
        defs={key: piece for piece, key in defs.pieces.items()},
        selected=selected,
        card=_row_cards.at(found, selected, fields, columns),
        data=_row_cards.every(found, fields, columns, every_entry),
        name_width=_name_width(found),
        undrawn=found.undrawn,
        drawing=_drawing.drawing(found, scale),
        broken=any(
            layer["state"] == "broken" for side in found.readings for layer in side if layer
        ),
        had=any(not each.proposed for each in lines),
        proposed=any(each.proposed for each in lines),
    )


def _name_width(found: Rows) -> int:
    """Return how wide the names with the numbers of their findings are, in px."""
    needed = [
        int(7.25 * len(name)) + 14 + 20 * len(found.flags.get(at, ()))
        for at, name in enumerate(found.called)
    ]
    return max(102, min(280, max(needed, default=0)))


def _grid(scale: LogAxis) -> tuple[float, float]:
    """Return the distance of the hairlines and the background position of the first, in percent."""
    step = scale.step / (scale.high - scale.low)
    ticks = scale.ticks()
    first = ticks[0][1] if ticks else 0.0
    # A background at p percent has its own point p percent at that of the box.
    return 100 * step, 100 * first / (1 - step) if step < 1 else 0.0


def _selected(diagnosis: Data, found: Rows) -> int:
    if diagnosis["place"] in found.names:
        return found.names.index(diagnosis["place"])
    return 0


def loss(diagnosis: Data) -> str:
    """Say how much of the gradient a network loses."""
    lost = real(diagnosis["decades_lost"])
    if any(layer["state"] == "broken" for layer in diagnosis["layers"]):
        return "is not a number"
    if lost is not None and not finite(lost):
        return "loses everything"
    written = decades(lost)
    return "loses none" if written == "0" else f"loses {written} decades"


def _power(ten: int) -> object:
    if ten in (0, 1):
        return str(10**ten)
    return markup("10" + str(ten).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")))
