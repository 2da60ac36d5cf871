"""The whole network in one drawing: its spine from left to right, skips above, elasticity below.

Where nothing was measured (the skips of a model, a plan) there is nothing below.

Every layer is drawn, none is folded: one can go closer. Marks of one kind are one path, so that a
network of a thousand layers is a handful of elements. It takes a time linear in what is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ._arcs import Arc, Bus
from ._axis import LogAxis
from ._rows import Reading, Rows
from ._values import STATES, log10, plural, quantity

WIDTH = 840
WIDEST = 30  # px from layer to layer in a short network
LOWEST, HIGHEST = 14, 46  # px: arcs of the innermost and of the outermost lane
BARS = 40
GAP = 9


@dataclass(frozen=True)
class DrawnSide:
    """One side: paths in one coordinate system, bars in one of their own.

    Attributes:
        said: what the picture shows, in words.
        marks: (class, path) of spine, arcs and nodes, in the order in which they are painted.
        bars: (role, path), from 0 at the top to `BARS` at the foot.
    """

    said: str
    marks: Sequence[tuple[str, str]]
    bars: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Drawing:
    """The network, once for each side, all in the same place and size.

    Attributes:
        sides: before and after.
        width: of each.
        height: of each.
        spine: where it runs.
        under: the lower edge of its nodes.
        gap: from there to the bars.
        pitch: from layer to layer.
        radius: of a node.
        count: of layers.
        ends: names of the first and of the last layer.
    """

    sides: Sequence[DrawnSide]
    width: float
    height: float
    spine: float
    under: float
    gap: int
    pitch: float
    radius: float
    count: int
    ends: tuple[str, str]


def drawing(found: Rows, scale: LogAxis) -> Drawing | None:
    """Lay the drawing out; there is none of a network of one layer."""
    count = len(found.names)
    if count < 2:
        return None
    pitch = min(WIDEST, WIDTH / count)
    radius = min(4.0, 0.36 * pitch)
    top = _tallest(found, pitch) + radius + 3
    pens = [_Pen(pitch, radius, top, _lane_count(lines)) for lines in found.drawn]
    sides = [
        DrawnSide(
            _said(readings, simple, buses),
            pen.marks(readings, simple, buses),
            _bars(readings, scale, pitch),
        )
        for pen, readings, (simple, buses) in zip(pens, found.readings, found.drawn, strict=True)
    ]
    under = top + radius
    foot = GAP + BARS + 1 if any(side.bars for side in sides) else 3
    ends = found.called[0], found.called[-1]
    return Drawing(sides, pitch * count, under + foot, top, under, GAP, pitch, radius, count, ends)


def _lane_count(lines: tuple[Sequence[Arc], Sequence[Bus]]) -> int:
    simple, buses = lines
    return 1 + max([*(arc.lane for arc in simple), *(bus.lane for bus in buses)], default=0)


def _tallest(found: Rows, pitch: float) -> float:
    heights = [0.0]
    for simple, buses in found.drawn:
        lanes = _lane_count((simple, buses))
        heights += [_rise(arc.end - arc.start, arc.lane, lanes, pitch) for arc in simple]
        heights += [float(HIGHEST) for _ in buses[:1]]
    return max(heights)


def _rise(span: int, lane: int, lanes: int, pitch: float) -> float:
    """Return how high an arc rises: by its lane, and never higher than it is wide."""
    by_lane = LOWEST + (HIGHEST - LOWEST) * lane / max(lanes - 1, 1)
    return min(by_lane, 0.62 * span * pitch)


def _said(readings: Sequence[Reading | None], simple: Sequence[Arc], buses: Sequence[Bus]) -> str:
    layers = [layer for layer in readings if layer]
    counts = {
        words: sum(layer["state"] == state for layer in layers)
        for state, (_, words) in STATES.items()
    }
    skips = len(simple) + sum(sum(bus.readers.values()) for bus in buses)
    told = ", ".join(f"{words} {quantity(count)}" for words, count in counts.items() if count)
    return f"{plural(len(readings) if not layers else len(layers), 'layer')}" + (
        f": {told}; {plural(skips, 'skip')}" if told else f", {plural(skips, 'skip')}"
    )


def _bars(
    readings: Sequence[Reading | None], scale: LogAxis, pitch: float
) -> list[tuple[str, str]]:
    paths: dict[str, list[str]] = {}
    for at, layer in enumerate(readings):
        log = log10(layer["elasticity"]) if layer else None
        if layer and log is not None:
            height = max(0.5, BARS * scale.at(log))
            paths.setdefault(STATES[layer["state"]][0], []).append(
                f"M{_short((at + 0.5) * pitch)} {BARS}v-{_short(height)}"
            )
    return [(role, "".join(pieces)) for role, pieces in paths.items()]


def _short(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")


@dataclass
class _Pen:
    """Draws one side; `y` is where its spine runs."""

    pitch: float
    radius: float
    y: float
    lanes: int

    def marks(
        self, readings: Sequence[Reading | None], simple: Sequence[Arc], buses: Sequence[Bus]
    ) -> list[tuple[str, str]]:
        end = (len(readings) - 0.5) * self.pitch
        start = 0 if any(arc.start < 0 for arc in simple) else self.x(0)
        made = [("sp", f"M{_short(start)} {_short(self.y)}H{_short(end)}")]
        for proposed, kind in ((False, "arc solid"), (True, "arc")):
            paths = [self.arc(arc) for arc in simple if arc.proposed is proposed]
            paths += [self.bus(bus) for bus in buses if bus.proposed is proposed]
            made += [(kind, "".join(paths))] if paths else []
        return made + self.nodes(readings)

    def x(self, at: int) -> float:
        return max(0.0, (at + 0.5) * self.pitch)

    def arc(self, arc: Arc) -> str:
        left, right = self.x(arc.start), self.x(arc.end)
        rise = _rise(arc.end - arc.start, arc.lane, self.lanes, self.pitch)
        base = self.y - self.radius - 0.5
        # A cubic reaches three quarters of the way to its control points.
        peak = _short(base - rise / 0.75)
        a, b, low = _short(left), _short(right), _short(base)
        return f"M{a} {low}C{a} {peak} {b} {peak} {b} {low}"

    def bus(self, bus: Bus) -> str:
        base, line = self.y - self.radius - 0.5, self.y - self.radius - 0.5 - HIGHEST
        ends = sorted({*bus.sources, *bus.readers})
        taps = "".join(f"M{_short(self.x(at))} {_short(base)}V{_short(line)}" for at in ends)
        return f"{taps}M{_short(self.x(ends[0]))} {_short(line)}H{_short(self.x(ends[-1]))}"

    def nodes(self, readings: Sequence[Reading | None]) -> list[tuple[str, str]]:
        places: dict[str, list[float]] = {}
        for at, layer in enumerate(readings):
            if layer:
                places.setdefault(STATES[layer["state"]][0], []).append(self.x(at))
        if not places:
            places["bare"] = [self.x(at) for at in range(len(readings))]
        made: list[tuple[str, str]] = []
        for role, xs in places.items():
            made += self._sign(role, xs)
        return made

    def _sign(self, role: str, xs: Sequence[float]) -> list[tuple[str, str]]:
        """Draw the sign of a state at all its layers: disc, half disc, ring or cross."""
        y, r = _short(self.y), _short(self.radius)
        dots = "".join(f"M{_short(x)} {y}h0" for x in xs)
        if role in ("fine", "bare"):
            return [(f"dot {role}", dots)]
        if role == "lost":
            arm, whole = _short(0.8 * self.radius), _short(1.6 * self.radius)
            left = [f"M{_short(x - 0.8 * self.radius)} {_short(self.y)}" for x in xs]
            return [
                ("gap", dots),
                ("cross", "".join(
                    f"{to}m0-{arm}l{whole} {whole}m0-{whole}l-{whole} {whole}" for to in left
                )),
            ]  # fmt: skip
        ring = [(f"dot {role}", dots), ("hole", dots)]
        if role == "dying":
            return ring
        up = _short(self.y - self.radius)
        half = "".join(f"M{_short(x)} {up}a{r} {r} 0 0 0 0 {_short(2 * self.radius)}z" for x in xs)
        return [*ring, ("half", half)]
