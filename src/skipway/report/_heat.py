"""The layers over the steps of a watched training, as bands of one heat map; and where it broke."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ._names import clipped_apart
from ._values import Data, quantity, real, sentence, short

# From the weakest to the strongest: lower end as a power of ten, role, opacity, letter, words.
BANDS: Sequence[tuple[float, str, float, str, str]] = (
    (-math.inf, "lost", 1.0, "×", "nothing moves"),
    (-300.0, "lost", 0.7, "·", "below 10⁻⁶"),
    (-6.0, "dying", 0.9, "░", "10⁻⁶ to 10⁻⁴"),
    (-4.0, "dying", 0.45, "▒", "10⁻⁴ to 10⁻²·⁵"),
    (-2.5, "fine", 0.35, "▓", "10⁻²·⁵ to 10⁻¹"),
    (-1.0, "fine", 0.7, "█", "10⁻¹ and more"),
)
STILL = 0


@dataclass(frozen=True)
class Mark:
    """One event: where it stands in the map.

    Attributes:
        step: at which it began.
        words: what happened.
        said: the same as a sentence, names of layers as code.
        finding: number of the finding it belongs to, `None` where there is none.
        rows: of the layers concerned.
        start: column at which it began.
        end: column behind the one at which it ended.
    """

    step: int
    words: str
    said: str
    finding: int | None
    rows: Sequence[int]
    start: float
    end: float


@dataclass(frozen=True)
class Heat:
    """A heat map.

    Attributes:
        names: of the rows.
        cells: by row, the band of each column (its place in `BANDS`), `None` where not known.
        values: by row, the weakest elasticity of each column, `None` where not looked at.
        columns: how many.
        steps: the last step of each column.
        ticks: (step, column).
        loss: by column, `None` where not known.
        marks: the events.
        relative: whether elasticities are relative to the largest one of their step.
    """

    names: Sequence[str]
    cells: Sequence[Sequence[int | None]]
    values: Sequence[Sequence[float | None]]
    columns: int
    steps: Sequence[int]
    ticks: Sequence[tuple[str, float]]
    loss: Sequence[float | None]
    marks: Sequence[Mark]
    relative: bool


def heat(diagnosis: Data, columns: int = 96, *, finest: int | None = None) -> Heat | None:
    """Return the heat map of a diagnosis; `None` where no training was watched.

    Args:
        diagnosis: plain data.
        columns: at most so many; each shows the worst of its steps.
        finest: at most about so many cells, where the number of columns may shrink for it.
    """
    watching = diagnosis.get("watching")
    if not watching or not watching["steps"]:
        return None
    steps = watching["steps"]
    if finest is not None:
        columns = max(24, min(columns, finest // max(len(watching["layers"]), 1)))
    count = min(columns, len(steps))
    groups = [
        range(at * len(steps) // count, (at + 1) * len(steps) // count) for at in range(count)
    ]
    tables = zip(watching["weight_elasticity"], watching["update"], strict=True)
    return Heat(
        names=watching["layers"],
        cells=[_row(values, updates, groups) for values, updates in tables],
        values=[_worst(values, groups) for values in watching["weight_elasticity"]],
        columns=count,
        steps=[steps[group[-1]] for group in groups],
        ticks=_ticks(steps, groups),
        loss=[_last(watching["loss"], group) for group in groups],
        marks=[_mark(event, diagnosis, groups) for event in watching["events"]],
        relative=all(loss is None for loss in watching["loss"]),
    )


def _row(
    values: Sequence[Any], updates: Sequence[Any], groups: Sequence[range]
) -> list[int | None]:
    found: list[int | None] = []
    known: int | None = None
    for group in groups:
        bands = [_band(values[at], updates[at]) for at in group]
        own = [each for each in bands if each is not None]
        known = min(own) if own else known  # a large tensor is not looked at each time
        found.append(known)
    return found


def _worst(values: Sequence[Any], groups: Sequence[range]) -> list[float | None]:
    found: list[float | None] = []
    for group in groups:
        known = [number for at in group if (number := real(values[at])) is not None]
        # What is not a number is no smaller than any other, and worse.
        found.append(next(filter(math.isnan, known), min(known, default=None)))
    return found


def summary(made: Heat, most: int = 60) -> list[tuple[str, str, str, str, str]]:
    """Return for each row, or every so many: its name, where it began, its lowest, when, its end.

    Args:
        made: the map.
        most: rows; those of events are always among them.
    """
    every = math.ceil(len(made.names) / most) or 1
    marked = {row for mark in made.marks for row in mark.rows[:1]}
    found: list[tuple[str, str, str, str, str]] = []
    called = clipped_apart(made.names)
    for at, (name, values) in enumerate(zip(called, made.values, strict=True)):
        known = [(value, column) for column, value in enumerate(values) if value is not None]
        if known and (at % every == 0 or at in marked):
            lowest, column = min(known)
            ends = short(known[0][0]), short(known[-1][0])
            found.append((name, ends[0], short(lowest), quantity(made.steps[column]), ends[1]))
    return found


def _band(value: Any, update: Any) -> int | None:
    number = real(value)
    if number is None:
        return None
    if real(update) == 0 or number == 0 or math.isnan(number):
        return STILL
    power = math.log10(number) if number < math.inf else math.inf
    return max(at for at, band in enumerate(BANDS) if power >= band[0])


def _last(values: Sequence[Any], group: range) -> float | None:
    found = [number for at in group if (number := real(values[at])) is not None]
    return found[-1] if found and math.isfinite(found[-1]) else None


def _column(step: int, groups: Sequence[range], steps: Sequence[int]) -> float:
    """Return the column that shows a step."""
    for at, group in enumerate(groups):
        if steps[group[-1]] >= step:
            return float(at)
    return float(len(groups))


def _ticks(steps: Sequence[int], groups: Sequence[range]) -> list[tuple[str, float]]:
    last = steps[-1]
    unit = 10 ** math.floor(math.log10(max(last, 1)))
    gap = next(g for g in (unit // 5 or 1, unit // 2 or 1, unit, 2 * unit) if last / g <= 6)
    wanted = [1, *range(gap, last + 1, gap)]
    return [(quantity(step), _column(step, groups, steps)) for step in dict.fromkeys(wanted)]


def _mark(event: Mapping[str, Any], diagnosis: Data, groups: Sequence[range]) -> Mark:
    watching = diagnosis["watching"]
    steps, until = watching["steps"], event["until"]
    places = {name: at for at, name in enumerate(watching["layers"])}
    number = next(
        (
            at
            for at, finding in enumerate(diagnosis["findings"], 1)
            if finding["cause"] == event["cause"]
            and set(event["layers"]) <= set(finding["layers"])
            and bool(event["layers"]) == bool(finding["layers"])
        ),
        None,
    )
    return Mark(
        step=event["step"],
        words=event["words"],
        said=_said(event),
        finding=number,
        rows=sorted(places[name] for name in event["layers"] if name in places),
        start=_column(event["step"], groups, steps),
        end=float(len(groups)) if until is None else _column(until, groups, steps),
    )


def _said(event: Mapping[str, Any]) -> str:
    """Return what happened as a sentence; a layer's name stays as it is written."""
    words, first = event["words"], next(iter(event["layers"]), "")
    if first and words.startswith(first):
        return f"`{first}`{words[len(first) :]}."
    return f"{sentence(words)}."
