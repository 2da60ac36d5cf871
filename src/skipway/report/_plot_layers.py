"""The elasticity of every layer on one logarithmic axis of matplotlib, with the skips beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from . import _spine
from ._axis import LogAxis
from ._plot_arcs import beside, key, label_rows, title
from ._rows import Reading, Side, rows
from ._values import STATES, log10, real

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Mid tones that can be read on light and on dark ground; every state has its own marker too.
COLOURS = {"fine": "#3b87cc", "watch": "#7d8895", "dying": "#d07a1d", "lost": "#c4502a"}
MARKERS: dict[str, dict[str, Any]] = {
    "fine": {"marker": "o"},
    "watch": {"marker": "o", "fillstyle": "left", "markerfacecoloralt": "none"},
    "dying": {"marker": "o", "fillstyle": "none"},
    "lost": {"marker": "x"},
}
LINES = ("-", (0, (1, 1)))


def draw(sides: Sequence[Side], ax: Axes, headline: str) -> Axes:
    """Draw one or two sides, layers downwards in execution order."""
    found = rows(sides)
    scale = _spine.axis(found)
    seen: set[str] = set()
    for number, (side, readings) in enumerate(zip(sides, found.readings, strict=True)):
        places = [(at, _x(layer, scale)) for at, layer in enumerate(readings) if layer]
        label = f"{side.title}, {_spine.loss(side.diagnosis)}"
        ax.plot([x for _, x in places], [at for at, _ in places], ls=LINES[number], lw=1,
                color="C7", label=label, zorder=1)  # fmt: skip
        seen |= _marks(ax, readings, places)
    label_rows(ax, found.names)
    ax.set(xscale="log", xlim=(10.0**scale.low, 10.0**scale.high), xlabel=_label(sides[0]))
    ax.minorticks_off()
    beside(ax, *found.drawn[-1], transform=ax.get_yaxis_transform(), start=1.02)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.grid(axis="x", lw=0.4, alpha=0.5)
    _key(ax, seen)
    title(ax, headline)
    return ax


def _x(layer: Reading, scale: LogAxis) -> float:
    """Return where a layer stands; what has no logarithm stands at the end that it fell off."""
    log = log10(layer["elasticity"])
    if log is not None:
        return float(10.0**log)
    return float(10.0 ** (scale.high if real(layer["elasticity"]) == float("inf") else scale.low))


def _marks(
    ax: Axes, readings: Sequence[Reading | None], places: Sequence[tuple[int, float]]
) -> set[str]:
    seen = set()
    for state, (role, _) in STATES.items():
        points = [(x, at) for at, x in places if (readings[at] or {})["state"] == state]
        if points:
            seen.add(state)
            ax.plot([x for x, _ in points], [at for _, at in points], ls="", ms=5,
                    color=COLOURS[role], gid=state, clip_on=False, **MARKERS[role])  # fmt: skip
    return seen


def _key(ax: Axes, seen: set[str]) -> None:
    from matplotlib.lines import Line2D

    handles, _ = ax.get_legend_handles_labels()
    states = [
        Line2D([], [], ls="", ms=5, color=COLOURS[role], label=words, **MARKERS[role])
        for state, (role, words) in STATES.items()
        if state in seen
    ]
    key(ax, [*handles, *states])


def _label(side: Side) -> str:
    over = "the largest of these" if side.diagnosis.get("relative") else "|L|"
    return f"elasticity, ‖∂L/∂h‖ · ‖h‖ / {over}"
