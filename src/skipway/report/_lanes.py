"""The spine and its arcs as SVG, cut into one slice per row, as graphs of commits are.

Each row draws only its own slice of every arc: rows can be hidden, printed or broken over pages,
and it works without script.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import escape

from ._arcs import Arc, Bus
from ._folds import Fold
from ._values import STATES

ROW = 20
MIDDLE = ROW // 2
FIRST_LANE = 24
NEXT_LANE = 12
LONGEST_ELLIPSE = 6
PITCH = 3
SHORTEST, TALLEST = 34, 120  # px of a closed fold; it has two lines of text
SEEN = 6  # px: an arc in a closed fold that is no higher is not seen as one


@dataclass(frozen=True)
class Lanes:
    """One side's lane column.

    Attributes:
        width: of the column in px.
        rows: the SVG inside each row's cell.
        closed: inside the cell of each closed fold.
        opened: inside the header of each open fold.
    """

    width: int
    rows: list[str]
    closed: list[str]
    opened: list[str]


def profile(fold: Fold) -> tuple[int, list[int]]:
    """Return the height of a closed fold and the top of the bar of each of its rows, in px."""
    bars = min(fold.rows, (TALLEST - 8) // PITCH)
    height = max(SHORTEST, bars * PITCH + 9)
    first = (height - bars * PITCH + 1) // 2
    return height, [first + PITCH * (at * bars // fold.rows) for at in range(fold.rows)]


def lanes(
    states: Sequence[str | None], simple: Sequence[Arc], buses: Sequence[Bus], found: Sequence[Fold]
) -> Lanes:
    """Draw the spine of one side with its arcs, in a time linear in what is drawn."""
    pictures = [profile(fold) for fold in found]
    every: list[Arc | Bus] = [*simple, *buses]
    count = 1 + max((each.lane for each in every), default=-1)
    labels = 22 if any(arc.label for arc in simple) else 0
    across = FIRST_LANE + NEXT_LANE * (count - 1) + 15 if count else 9
    pen = _Pen(labels + across + 0.5, list(found), _zones(len(states), found), pictures)
    rows = [_spine(state, at, len(states), pen.spine) for at, state in enumerate(states)]
    closed = [f'<path class="sp" d="M{pen.spine} 0V{height}"/>' for height, _ in pictures]
    opened = [f'<path class="sp" d="M{pen.spine} 0V{ROW}"/>' for _ in found]
    for arc in simple:
        pen.arc(arc, rows)
        pen.arc_in_folds(arc, closed, opened)
    for bus in buses:
        pen.bus(bus, rows)
        pen.bus_in_folds(bus, closed, opened)
    rows = [row + _node(state, pen.spine) for row, state in zip(rows, states, strict=True)]
    return Lanes(int(pen.spine + 11.5), rows, closed, opened)


def node(state: str, x: float, y: float) -> str:
    """Return the sign of a state: disc, half disc, ring or cross."""
    name = STATES[state][0]
    if name == "fine":
        return f'<circle class="n fine" cx="{x:g}" cy="{y:g}" r="4"/>'
    if name == "lost":
        return f'<path class="n cross" d="M{x - 3.3:g} {y - 3.3:g}l6.6 6.6m0-6.6l-6.6 6.6"/>'
    ring = f'<circle class="n ring {name}" cx="{x:g}" cy="{y:g}" r="3.4"/>'
    if name == "dying":
        return ring
    return f'{ring}<path class="n watch" d="M{x:g} {y - 3.4:g}a3.4 3.4 0 0 0 0 6.8z"/>'


def _node(state: str | None, x: float) -> str:
    return "" if state is None else node(state, x, MIDDLE)


def _spine(state: str | None, at: int, rows: int, x: float) -> str:
    """Return the spine in one row; it breaks around a sick node."""
    whole = state is None or STATES[state][0] == "fine"
    upper, lower = (MIDDLE, MIDDLE) if whole else (MIDDLE - 6, MIDDLE + 6)
    above = "" if at == 0 else f"M{x} 0V{upper}"
    below = "" if at == rows - 1 else f"M{x} {lower}V{ROW}"
    return f'<path class="sp" d="{above}{below}"/>' if above or below else ""


def _zones(rows: int, found: Sequence[Fold]) -> list[int]:
    """Number the stretches between the borders of folds; arcs inside one cross no fold."""
    steps = [0] * (rows + 1)
    for fold in found:
        steps[fold.first] += 1
        steps[fold.end] += 1
    zone, zones = 0, []
    for at in range(rows):
        zone += steps[at]
        zones.append(zone)
    return zones


@dataclass
class _Pen:
    """Draws arcs of one side; `spine` is the x of the spine."""

    spine: float
    folds: list[Fold]
    zones: list[int]
    pictures: list[tuple[int, list[int]]]

    def x(self, lane: int) -> float:
        return self.spine - FIRST_LANE - NEXT_LANE * lane

    def arc(self, arc: Arc, rows: list[str]) -> None:
        first = max(arc.start, 0)
        inside = self.zones[first] == self.zones[arc.end]
        ellipse = inside and arc.end - arc.start <= LONGEST_ELLIPSE
        for at in range(first, arc.end + 1):
            path = self._ellipse(arc, at) if ellipse else self._bracket(arc, at)
            rows[at] += f'<path class="{_kind(arc)}" d="{path}"/>'
        rows[arc.end] += self._head()
        if arc.label:
            rows[arc.end] += f'<text class="al" x="0" y="13.5">{escape(arc.label)}</text>'

    def _ellipse(self, arc: Arc, at: int) -> str:
        begin = self.spine - 5
        # A cubic reaches three quarters of the way to its control points.
        bulge = begin - (begin - self.x(arc.lane)) / 0.75
        top, bottom = ((row - at) * ROW + MIDDLE for row in (arc.start, arc.end))
        curve = f"C{bulge:.1f} {top + 1} {bulge:.1f} {bottom - 1}"
        return f"M{begin:g} {top}{curve} {begin - 4:g} {bottom}"

    def _bracket(self, arc: Arc | Bus, at: int) -> str:
        x, begin = self.x(arc.lane), self.spine - 5
        if at == arc.start:
            return f"M{begin:g} {MIDDLE}C{x:g} {MIDDLE} {x:g} {MIDDLE + 2} {x:g} {ROW}"
        if at == arc.end:
            return f"M{x:g} 0C{x:g} {MIDDLE - 2} {x:g} {MIDDLE} {begin - 4:g} {MIDDLE}"
        return f"M{x:g} 0V{ROW}"

    def _head(self) -> str:
        return f'<path class="head" d="M{self.spine - 5:g} {MIDDLE}l-5.5-2.9v5.8z"/>'

    def arc_in_folds(self, arc: Arc, closed: list[str], opened: list[str]) -> None:
        for at, fold in self._touched(arc.start, arc.end):
            inner = arc.start >= fold.first and arc.end < fold.end
            if not inner:
                opened[at] += self._through(arc, ROW) if arc.start < fold.first <= arc.end else ""
            height, tops = self.pictures[at]
            if inner and tops[arc.end - fold.first] - tops[arc.start - fold.first] < SEEN:
                # The line of the lane stands for all of them.
                line = self._through(arc, height)
                closed[at] += "" if line in closed[at] else line
            else:
                closed[at] += self._mini(arc, fold, height, tops)

    def _mini(self, arc: Arc, fold: Fold, height: int, tops: Sequence[int]) -> str:
        x, spine = self.x(arc.lane), self.spine
        starts, ends = arc.start >= fold.first, arc.end < fold.end
        top = tops[arc.start - fold.first] + 1 if starts else 0
        bottom = tops[arc.end - fold.first] + 1 if ends else height
        if starts and ends:
            bulge = spine - 13 - 5 * arc.lane
            path = f"M{spine} {top}C{bulge:g} {top} {bulge:g} {bottom} {spine} {bottom}"
            return f'<path class="arc mini" d="{path}"/>'
        if ends:
            path = f"M{x:g} 0C{x:g} 4 {spine - 15:g} {bottom} {spine} {bottom}"
        elif starts:
            path = f"M{spine} {top}C{spine - 15:g} {top} {x:g} {height - 4} {x:g} {height}"
        else:
            return self._through(arc, height)
        return f'<path class="{_kind(arc)}" d="{path}"/>'

    def bus(self, bus: Bus, rows: list[str]) -> None:
        x = self.x(bus.lane)
        for at in range(max(bus.start, 0), bus.end + 1):
            path = self._bracket(bus, at)
            if bus.start < at < bus.end and (at in bus.readers or at in bus.sources):
                path += f"M{x:g} {MIDDLE}H{self.spine - 9:g}"
            rows[at] += f'<path class="{_kind(bus)}" d="{path}"/>'
            rows[at] += self._head() if at in bus.readers else ""

    def bus_in_folds(self, bus: Bus, closed: list[str], opened: list[str]) -> None:
        for at, fold in self._touched(bus.start, bus.end):
            closed[at] += self._through(bus, self.pictures[at][0])
            opened[at] += self._through(bus, ROW) if bus.start < fold.first <= bus.end else ""

    def _through(self, line: Arc | Bus, height: int) -> str:
        return f'<path class="{_kind(line)}" d="M{self.x(line.lane):g} 0V{height}"/>'

    def _touched(self, start: int, end: int) -> list[tuple[int, Fold]]:
        if not self.folds or self.zones[max(start, 0)] == self.zones[end] == 0:
            return []
        return [
            (at, fold)
            for at, fold in enumerate(self.folds)
            if start < fold.end and end >= fold.first
        ]


def _kind(line: Arc | Bus) -> str:
    return "arc" if line.proposed else "arc solid"
