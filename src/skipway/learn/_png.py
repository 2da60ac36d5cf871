"""A `Picture` as a PNG, by matplotlib, which is an extra."""

from __future__ import annotations

import io
import textwrap
from pathlib import Path
from typing import Any

from ._picture import Picture


def save(picture: Picture, file: Path) -> bool:
    """Write the picture to `file`; return False where matplotlib is not installed."""
    data = png(picture)
    if data is None:
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return True


def png(picture: Picture) -> bytes | None:
    """Return the picture as the bytes of a PNG, or None where matplotlib is not installed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return None
    # Without pyplot: no window, no global state, and the learner's own style stays untouched.
    figure = Figure(figsize=(7, 4), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    {"lines": _lines, "bars": _bars, "grid": _grid}[picture.kind](axes, picture)
    figure.suptitle(textwrap.fill(picture.title, 95), x=0.01, ha="left", fontsize=10)
    written = io.BytesIO()
    figure.savefig(written)
    return written.getvalue()


def _lines(axes: Any, picture: Picture) -> None:
    for name, values in picture.rows.items():
        seen = [value if value > 0 or not picture.log else None for value in values]
        zero = "" if None not in seen else " (where it is missing: exactly 0)"
        axes.plot(picture.x, seen, label=name + zero)
    axes.set(
        xlabel=picture.x_name, ylabel=picture.y_name, yscale="log" if picture.log else "linear"
    )
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)


def _bars(axes: Any, picture: Picture) -> None:
    names = list(picture.rows)
    axes.barh(names[::-1], [picture.rows[name][0] for name in names[::-1]])
    axes.set(xlabel=picture.y_name, xscale="log" if picture.log else "linear")
    axes.spines[["top", "right"]].set_visible(False)


def _grid(axes: Any, picture: Picture) -> None:
    width = max(map(len, picture.rows.values()))
    table = [row + [float("nan")] * (width - len(row)) for row in picture.rows.values()]
    image = axes.imshow(table, cmap="Blues", aspect="auto")
    axes.set_xticks(range(width), [str(name) for name in picture.x[:width]])
    axes.set_yticks(range(len(table)), list(picture.rows))
    axes.figure.colorbar(image, label=picture.y_name)
