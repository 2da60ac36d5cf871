"""The cells of the spine: a slice of the lanes, a bar on the logarithmic axis, a number."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from . import _lanes, _stages
from ._axis import LogAxis
from ._rows import Reading, Rows
from ._values import NONE, SEVERITY, STATES, clipped, decades, log10, short

_NUMBER = re.compile(r"\d+$")

# What stands in place of a bar where the number has no logarithm.
NO_BAR = {"0": "exactly zero", "∞": "infinite", "NaN": "not a number"}


@dataclass(frozen=True)
class Cell:
    """One side of one row: a slice of the lanes, a bar, a number."""

    lane: str
    state: str
    width: float | None
    word: str
    number: str
    said: str
    span: tuple[float, float, str] | None = None


@dataclass(frozen=True)
class Row:
    """One layer."""

    index: int
    name: str
    title: str
    flags: Sequence[int]
    inner: bool
    cells: Sequence[Cell]


@dataclass(frozen=True)
class FoldCell:
    """One side of a closed fold."""

    closed: str
    opened: str
    bars: Sequence[tuple[int, float, str]]
    first: str
    last: str


@dataclass(frozen=True)
class FoldRow:
    """Many layers in one row."""

    first: int
    end: int
    label: str
    span: str
    said: str
    height: int
    cells: Sequence[FoldCell]


@dataclass
class Defs:
    """SVG pieces that occur again and again, written once and used by number."""

    pieces: dict[str, str] = field(default_factory=dict)

    def put(self, piece: str) -> str:
        """Return the id of a piece."""
        return self.pieces.setdefault(piece, f"k{len(self.pieces)}")


def entries(
    found: Rows, scale: LogAxis, drawn: Sequence[_lanes.Lanes], defs: Defs
) -> list[Row | FoldRow]:
    starts = {fold.first: at for at, fold in enumerate(found.folds)}
    inner = {at for fold in found.folds for at in range(fold.first, fold.end)}
    span = _span(found, scale)
    made: list[Row | FoldRow] = []
    for at, (name, short_name) in enumerate(zip(found.names, found.called, strict=True)):
        if at in starts:
            made.append(_fold(found, starts[at], scale, drawn, defs))
        cells = [
            _cell(side[at], defs.put(lane.rows[at]), scale, span.get((number, at)))
            for number, (side, lane) in enumerate(zip(found.readings, drawn, strict=True))
        ]
        title = name if short_name != name else ""
        made.append(Row(at, short_name, title, found.flags.get(at, []), at in inner, cells))
    return made


def _cell(
    layer: Reading | None,
    lane: str,
    scale: LogAxis,
    span: tuple[float, float, str] | None,
) -> Cell:
    if layer is None:
        return Cell(lane, "", None, "", "", "not in this network")
    name, said = STATES[layer["state"]]
    log = log10(layer["elasticity"])
    if log is not None:
        width = max(0.6, 100 * scale.at(log))
        return Cell(lane, name, width, "", short(layer["elasticity"]), said, span)
    number = short(layer["elasticity"])
    return Cell(lane, name, None, NO_BAR.get(number, ""), number, said)


def _span(found: Rows, scale: LogAxis) -> dict[tuple[int, int], tuple[float, float, str]]:
    """Return the dimension line of the worst drop, where its row has room for one."""
    layers = [(at, layer) for at, layer in enumerate(found.readings[0]) if layer]
    logs = {at: log10(layer["elasticity"]) for at, layer in layers}
    known = {at: log for at, log in logs.items() if log is not None}
    if not known:
        return {}
    at = min(known, key=lambda row: (known[row], row))
    top = max(known[row] for row in known if row >= at)
    left, right = 100 * scale.at(known[at]), 100 * scale.at(top)
    if top - known[at] < 1 or right - left < 45:
        return {}
    return {(0, at): (left, 100 - right, f"{decades(top - known[at])} decades")}


def _fold(
    found: Rows, number: int, scale: LogAxis, drawn: Sequence[_lanes.Lanes], defs: Defs
) -> FoldRow:
    fold = found.folds[number]
    height, tops = _lanes.profile(fold)
    first, last = found.names[fold.first], found.names[fold.end - 1]
    cells = [
        _fold_cell(side[fold.first : fold.end], tops, scale, lane, number, defs)
        for side, lane in zip(found.readings, drawn, strict=True)
    ]
    said = f"{fold.label.replace('×', 'times')}, {first} to {last}: {fold.rows} layers"
    names, sizes = found.names, ((fold.first, fold.head), (fold.tail, fold.end))
    ends = [_stages.block_of(names[start:end]) for start, end in sizes]
    if ends[0] == ends[1]:  # the blocks have no modules of their own
        ends = [first, last]
    return FoldRow(fold.first, fold.end, fold.label, between(*ends), said, height, cells)


def between(first: str, last: str) -> str:
    """Write two names as a range; what they share before their numbers is written once."""
    start, before = _NUMBER.search(last), last.rstrip("0123456789")
    end = last if start is None or not first.startswith(before) else start[0]
    if end == last:
        stem = max(first.rfind("."), first.rfind("#")) + 1
        end = clipped(last.removeprefix(first[:stem]), 22)
    return f"{clipped(first, max(22, 36 - len(end)))} – {end}"


def _fold_cell(
    layers: Sequence[Reading | None],
    tops: Sequence[int],
    scale: LogAxis,
    lane: _lanes.Lanes,
    number: int,
    defs: Defs,
) -> FoldCell:
    # Several rows may share a bar: it shows the worst of them.
    bars: dict[int, tuple[float, str]] = {}
    for top, layer in zip(tops, layers, strict=True):
        if layer is None:
            continue
        log = log10(layer["elasticity"])
        width = 0.0 if log is None else 1000 * scale.at(log)
        old, state = bars.get(top, (width, layer["state"]))
        worse = max(state, layer["state"], key=SEVERITY.__getitem__)
        bars[top] = (min(old, width), worse)
    known = [short(layer["elasticity"]) for layer in layers if layer]
    return FoldCell(
        closed=defs.put(lane.closed[number]),
        opened=defs.put(lane.opened[number]),
        bars=[(top, width, STATES[state][0]) for top, (width, state) in bars.items()],
        first=known[0] if known else NONE,
        last=known[-1] if known else NONE,
    )
