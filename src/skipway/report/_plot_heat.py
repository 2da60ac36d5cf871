"""The layers over the steps of a watched training, on matplotlib's axes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ._heat import BANDS, Heat, Mark
from ._plot_arcs import key, label_rows
from ._plot_layers import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw(made: Heat, ax: Axes) -> Axes:
    """Draw the bands, and the findings where they began."""
    from matplotlib.colors import BoundaryNorm, ListedColormap

    colours = [(COLOURS[role], opacity) for _, role, opacity, _, _ in BANDS]
    cells = [[math.nan if band is None else band for band in row] for row in made.cells]
    ax.imshow(
        cells, aspect="auto", interpolation="nearest", cmap=ListedColormap(colours),
        norm=BoundaryNorm([at - 0.5 for at in range(len(BANDS) + 1)], len(BANDS)),
    )  # fmt: skip
    for mark in made.marks:
        _outline(ax, mark, made)
    label_rows(ax, made.names)
    ax.set_xticks([at for _, at in made.ticks], [label for label, _ in made.ticks])
    ax.set_xlabel("step")
    ax.spines[["top", "right", "left", "bottom"]].set_visible(False)
    _key(ax)
    return ax


def _outline(ax: Axes, mark: Mark, made: Heat) -> None:
    from matplotlib.patches import Rectangle

    ink = ax.yaxis.label.get_color()
    for row in mark.rows:
        size = max(mark.end - mark.start, 0.2)
        ax.add_patch(
            Rectangle((mark.start - 0.5, row - 0.5), size, 1, fill=False, ec=ink, lw=0.9,
                      gid="finding")
        )  # fmt: skip
    if mark.finding is not None and mark.start < made.columns:
        ax.annotate(
            str(mark.finding), (mark.start, 1), xycoords=("data", "axes fraction"), ha="center",
            va="bottom", fontsize=8,
        )  # fmt: skip


def _key(ax: Axes) -> None:
    from matplotlib.patches import Patch

    handles = [
        Patch(facecolor=(COLOURS[role], opacity), label=words)
        for _, role, opacity, _, words in reversed(BANDS)
    ]
    key(ax, handles, "elasticity of the weights")
