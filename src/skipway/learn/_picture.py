"""`Picture`: a drawing as plain numbers, for the terminal and for a PNG alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Picture:
    """Lines over a common x, bars with a name each, or a grid of values.

    Args:
        kind: what `rows` are: `"lines"` over `x`, `"bars"` (one value a row), or a `"grid"`.
        title: one sentence on what to see.
        rows: name to values.
        x: positions of the values of lines; names of the columns of a grid.
        x_name: what runs to the right.
        y_name: what the values are.
        log: whether the values are drawn on a log axis.
    """

    kind: Literal["lines", "bars", "grid"]
    title: str
    rows: dict[str, list[float]]
    x: list[float] | list[str] = field(default_factory=list)
    x_name: str = ""
    y_name: str = ""
    log: bool = False


def lines(
    title: str,
    rows: Mapping[str, Sequence[float]],
    *,
    x: Sequence[float],
    x_name: str,
    y_name: str,
    log: bool = False,
) -> Picture:
    """Return lines over a common x."""
    return Picture("lines", title, _plain(rows), [float(v) for v in x], x_name, y_name, log)


def bars(title: str, rows: Mapping[str, float], *, y_name: str, log: bool = False) -> Picture:
    """Return one bar for each name."""
    plain = _plain({name: [value] for name, value in rows.items()})
    return Picture("bars", title, plain, y_name=y_name, log=log)


def grid(
    title: str, rows: Mapping[str, Sequence[float]], *, columns: Sequence[str], y_name: str
) -> Picture:
    """Return a grid of values; a row may be shorter than the columns."""
    return Picture("grid", title, _plain(rows), list(columns), y_name=y_name)


def _plain(rows: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    return {name: [float(value) for value in values] for name, values in rows.items()}
