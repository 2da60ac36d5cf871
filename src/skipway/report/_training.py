"""What training does: every seed drawn, one panel a variant, all on one axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from . import _metric
from ._axis import round_ends
from ._values import Data, finite, median, named, plainly, plural, real, reals, sentence

MOST_PANELS = 6
# Percent of a panel's height.
CROWDED = 14
ROLES = {"reference": "before", "treated": "after", "control": "control"}


@dataclass(frozen=True)
class Curves:
    """One small panel: paths in a box of 100 by 100, y downwards."""

    said: str
    seeds: Sequence[str]
    middle: str


@dataclass(frozen=True)
class Axis:
    """The y axis that a row of panels shares."""

    title: str
    ticks: Sequence[tuple[str, float]]
    chance: float | None
    chance_label: str
    linear: float | None
    linear_label: str


@dataclass(frozen=True)
class Panel:
    """One variant."""

    name: str
    detail: str
    role: str
    final: str
    trouble: str
    test: Curves
    loss: Curves


@dataclass(frozen=True)
class Training:
    """All panels, in rows of at most six."""

    rows: Sequence[Sequence[Panel]]
    test: Axis
    loss: Axis
    epochs: int
    width: int


@dataclass(frozen=True)
class _Scale:
    low: float
    high: float

    def down(self, value: float) -> float:
        """Return how far below the top a value lies, in percent; clipped just outside the box."""
        place = (self.high - value) / (self.high - self.low)
        return min(104.0, max(-4.0, 100 * place))


def training(comparison: Data) -> Training:
    """Lay the panels out."""
    shown = [each for each in comparison["variants"] if not is_linear(each, comparison)]
    linear = next((v for v in comparison["variants"] if is_linear(v, comparison)), None)
    test, loss = _test_scale(comparison), _loss_scale(comparison)
    panels = [_panel(variant, comparison, test, loss) for variant in shown]
    # Rows of nearly equal length: seven panels stand as four and three.
    count = math.ceil(len(panels) / MOST_PANELS) if panels else 0
    width = math.ceil(len(panels) / count) if count else 0
    return Training(
        rows=[panels[at : at + width] for at in range(0, len(panels), width or 1)],
        test=_axis(_test_title(comparison), test, comparison, linear, "test"),
        loss=_axis("Training loss", loss, comparison, linear, "train_loss"),
        epochs=int(comparison["epochs"]),
        width=width,
    )


def scales(comparison: Data) -> dict[str, tuple[float, float]]:
    """Return the ends of both y axes, which all panels share."""
    found = {"test": _test_scale(comparison), "train_loss": _loss_scale(comparison)}
    return {key: (scale.low, scale.high) for key, scale in found.items()}


def medians(histories: Sequence[Sequence[float]]) -> list[float | None]:
    """Return the median at each epoch of the runs that got so far."""
    longest = max((len(history) for history in histories), default=0)
    return [
        median([history[at] for history in histories if at < len(history)]) for at in range(longest)
    ]


def is_linear(variant: Data, comparison: Data) -> bool:
    """Tell whether this is the linear control, which the panels show as a dotted line."""
    alone = len(comparison["variants"]) == 1
    return variant["name"] == "linear" and variant["role"] == "control" and not alone


def _test_title(comparison: Data) -> str:
    unit = _metric.unit(comparison)
    return sentence(_metric.name(comparison)) + (f",{unit}" if unit else "")


def _test_scale(comparison: Data) -> _Scale:
    if comparison["metric"] == "accuracy":
        return _Scale(0.0, 100.0)
    if not comparison["higher_is_better"]:
        return _loss_like(comparison, "test", real(comparison["chance"]))
    values = [v for run in _runs(comparison) for v in reals(run["test"])]
    return _Scale(*round_ends(values))


def _loss_scale(comparison: Data) -> _Scale:
    return _loss_like(comparison, "train_loss", real(comparison["chance_loss"]))


def _loss_like(comparison: Data, key: str, chance: float | None) -> _Scale:
    """An axis for losses: one run that blows up must not flatten all the others."""
    values = [v for run in _runs(comparison) for v in reals(run[key]) if math.isfinite(v)]
    if chance is not None and chance > 0:
        values = [value for value in values if value <= 1.3 * chance] + [1.05 * chance]
    else:
        starts = median([float(run[key][0]) for run in _runs(comparison) if run[key]])
        if starts is not None and starts > 0:
            values = [value for value in values if value <= 2 * starts] + [starts]
    return _Scale(*round_ends(values))


def _runs(comparison: Data) -> list[Any]:
    return [run for variant in comparison["variants"] for run in variant["runs"]]


def _axis(title: str, scale: _Scale, comparison: Data, linear: Data | None, key: str) -> Axis:
    chance = real(comparison["chance" if key == "test" else "chance_loss"])
    runs = linear["runs"] if linear else ()
    reached = median([float(run[key][-1]) for run in runs if run[key]])
    lines = _line(chance, scale), _line(reached, scale)
    # Two labels on lines this close would cover each other.
    crowded = None not in lines and abs((lines[0] or 0) - (lines[1] or 0)) < CROWDED
    middle = (scale.low + scale.high) / 2
    ticks = (scale.high, middle, scale.low) if key == "test" else (scale.high, scale.low)
    return Axis(
        title=title,
        ticks=[(f"{tick:g}", scale.down(tick)) for tick in ticks],
        chance=lines[0],
        chance_label=f"guessing {_written(chance, comparison, key)}",
        linear=lines[1],
        linear_label="" if crowded else f"linear model {_written(reached, comparison, key)}",
    )


def _written(value: float | None, comparison: Data, key: str) -> str:
    return _metric.bare(value, comparison) if key == "test" else plainly(value)


def _line(value: float | None, scale: _Scale) -> float | None:
    if value is None or not finite(value) or not scale.low <= value <= scale.high:
        return None
    return scale.down(value)


def _panel(variant: Data, comparison: Data, test: _Scale, loss: _Scale) -> Panel:
    final = _metric.value(variant["median"], comparison)
    count = len(variant["runs"])
    failures = int(variant["failures"])
    return Panel(
        name=named(variant["name"]),
        detail=variant["detail"],
        role=ROLES[variant["role"]],
        final=final,
        trouble=f"{failures} of {plural(count, 'run')} failed" if failures else "",
        test=_curves(variant, "test", test, comparison["epochs"], _metric.name(comparison), final),
        loss=_curves(variant, "train_loss", loss, comparison["epochs"], "training loss", ""),
    )


def _curves(variant: Data, key: str, scale: _Scale, epochs: int, what: str, final: str) -> Curves:
    histories = [reals(run[key]) for run in variant["runs"]]
    middle = medians(histories)
    last = final or (f"{middle[-1]:.3g}" if middle and middle[-1] is not None else "no number")
    return Curves(
        said=f"{what}, {variant['name']}: median {last} at the end",
        seeds=[_path(history, scale, epochs) for history in histories],
        middle=_path([math.nan if v is None else v for v in middle], scale, epochs),
    )


def _path(values: Sequence[float], scale: _Scale, epochs: int) -> str:
    """Return a line through the finite values; it is interrupted where there is none."""
    made, joined = [], False
    for at, value in enumerate(values):
        if math.isfinite(value):
            x = 100 * at / max(epochs, 1)
            made.append(f"{'L' if joined else 'M'}{x:.4g} {scale.down(value):.2f}")
        joined = math.isfinite(value)
    return "".join(made)
