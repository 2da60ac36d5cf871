"""Results on matplotlib's axes, for those who make their own figures; matplotlib is an extra."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from .._errors import ExtraError, SkipwayError
from . import _heat, _sides, _verdict
from ._rows import Side
from ._values import Data
from ._ways import order

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INCHES = 7.2


def axes(data: Data, ax: Axes | None = None) -> Axes:
    """Draw a result; `ax` is where, a new figure's own axes where there is none."""
    makers: Mapping[str, Callable[[Data, Axes | None], Axes]] = {
        "cure": lambda cure, on: _layers(cure, _sides.of_cure(cure), on),
        "diagnosis": _diagnosis,
        "comparison": _comparison,
        "what-if": lambda asked, on: _layers(asked, _sides.of_what_if(asked), on),
        "rewiring": _arcs,
        "plan": _arcs,
        "skips": _arcs,
    }
    if data["result"] not in makers:
        raise SkipwayError(f"A {data['result']} has nothing to draw; print it instead.")
    return makers[data["result"]](data, ax)


def place(ax: Axes | None, rows: int) -> Axes:
    """Return the axes to draw on, of a new figure that has room for the rows where none is given.

    Raises:
        ExtraError: matplotlib is not installed.
    """
    if ax is not None:
        return ax
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ExtraError(
            "plot() draws with matplotlib, which is not installed: pip install 'skipway[plot]'.",
            page="report#in-a-figure-of-your-own",
        ) from error
    height = 1.3 + 0.2 * min(max(rows, 6), 45)
    figure, made = pyplot.subplots(figsize=(INCHES, height), layout="constrained")
    del figure
    return made


def _diagnosis(diagnosis: Data, ax: Axes | None) -> Axes:
    made = _heat.heat(diagnosis)
    if made is None:
        return _layers(diagnosis, [Side("Now", diagnosis)], ax)
    from ._plot_arcs import title
    from ._plot_heat import draw

    drawn = draw(made, place(ax, len(made.names)))
    title(drawn, _verdict.verdict(diagnosis).headline, pad=18)
    return drawn


def _layers(data: Data, sides: list[Side], ax: Axes | None) -> Axes:
    from ._plot_layers import draw

    headline = _verdict.verdict(data).headline
    return draw(sides, place(ax, len(sides[0].diagnosis["layers"])), headline)


def _comparison(comparison: Data, ax: Axes | None) -> Axes:
    from ._plot_comparison import draw

    return draw(comparison, place(ax, 2 * len(comparison["variants"])))


def _arcs(data: Data, ax: Axes | None) -> Axes:
    from ._plot_arcs import draw

    return draw(data, place(ax, len(order(data))))
