"""Skip connections as arcs beside the spine, on matplotlib's axes."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import _verdict
from ._arcs import Arc, Bus
from ._names import clipped_apart
from ._values import Data
from ._ways import ways

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.transforms import Transform

MOST_LABELS = 45
NEAREST, FURTHEST = 0.035, 0.16  # of the axes' width


def draw(data: Data, ax: Axes) -> Axes:
    """Draw the skips of a model, or those of a plan, from layer to layer."""
    found = ways(data)
    names = found.names
    ax.plot([0] * len(names), range(len(names)), marker="o", ms=4, color="C7", lw=1, mfc="black",
            mec="black")  # fmt: skip
    beside(ax, *found.drawn[0], transform=ax.transData, start=0.0, unit=2.0)
    label_rows(ax, names)
    ax.set_xlim(-0.1, 0.9)
    ax.set_xticks([])
    ax.spines[["top", "right", "bottom", "left"]].set_visible(False)
    title(ax, _verdict.verdict(data).headline)
    return ax


def label_rows(ax: Axes, names: Sequence[str]) -> None:
    """Write the names at the rows, the first on top; of very many, every so many."""
    every = math.ceil(len(names) / MOST_LABELS) or 1
    ax.set_yticks(
        range(0, len(names), every), [plain(name) for name in clipped_apart(names)[::every]]
    )
    ax.set_ylim(max(len(names) - 0.4, 0.6), -0.6)
    ax.tick_params(axis="y", length=0, labelsize=8, labelfontfamily="monospace")


def beside(
    ax: Axes,
    simple: Sequence[Arc],
    buses: Sequence[Bus],
    *,
    transform: Transform,
    start: float,
    unit: float = 1.0,
) -> None:
    """Draw arcs to the right of `start`: dashed where they are proposed, else solid."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    lines: list[Arc | Bus] = [*simple, *buses]
    lanes = 1 + max((each.lane for each in lines), default=0)
    for each in lines:
        share = each.lane / max(lanes - 1, 1)
        out = start + unit * (NEAREST + (FURTHEST - NEAREST) * share) / 0.75
        points = [(start, each.start), (out, each.start), (out, each.end), (start, each.end)]
        codes = [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4]
        ax.add_patch(
            PathPatch(
                Path(points, codes), fill=False, lw=1, ls="--" if each.proposed else "-",
                ec=ax.yaxis.label.get_color(), transform=transform, clip_on=False,
                gid="proposed" if each.proposed else "existing",
            )
        )  # fmt: skip


def title(ax: Axes, words: str, *, pad: float | None = None) -> None:
    """Write a headline over the axes, on as many lines as it takes."""
    lines = textwrap.wrap(words.replace("`", ""), 62, max_lines=2, placeholder=" …")
    ax.set_title(plain("\n".join(lines)), loc="left", pad=pad)


def plain(words: str) -> str:
    """Return words in which no dollar sign begins a formula."""
    return words.replace("$", r"\$")


def key(ax: Axes, handles: Sequence[Artist], words: str = "") -> None:
    """Write the key under the axes, below their own label, whatever their height."""
    from matplotlib.transforms import ScaledTranslation

    figure = ax.get_figure(root=True)
    assert figure is not None
    below = ax.transAxes + ScaledTranslation(0, -0.5, figure.dpi_scale_trans)
    ax.legend(handles=list(handles), frameon=False, fontsize=8, ncols=2 if not words else 3,
              loc="upper left", bbox_to_anchor=(0, 0), bbox_transform=below, borderpad=0,
              title=words, title_fontsize=8, alignment="left")  # fmt: skip
