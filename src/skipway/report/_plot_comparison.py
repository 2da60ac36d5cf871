"""A comparison on matplotlib's axes: every seed of every variant, and their median."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from . import _metric, _verdict
from ._plot_arcs import plain, title
from ._plot_layers import COLOURS
from ._table import finals
from ._training import ROLES
from ._values import Data, median, real

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = {"before": COLOURS["lost"], "after": COLOURS["fine"], "control": COLOURS["watch"]}


def draw(comparison: Data, ax: Axes) -> Axes:
    """Draw one row for each variant, the reference on top."""
    variants = comparison["variants"]
    for at, variant in enumerate(variants):
        ends = [value for value in finals(variant) if math.isfinite(value)]
        colour = _COLOURS[ROLES[variant["role"]]]
        ax.plot(ends, [at] * len(ends), "o", ms=6, alpha=0.55, mew=0, color=colour,
                gid=variant["name"])  # fmt: skip
        middle = real(variant["median"])
        if middle is not None and math.isfinite(middle):
            ax.plot([middle], [at], "|", ms=16, mew=1.8, color=colour)
    _line(ax, real(comparison["chance"]), "guessing", "--")
    linear = next((each for each in variants if each["name"] == "linear"), None)
    _line(ax, median(finals(linear)) if linear else None, "linear model", ":")
    ax.set_yticks(range(len(variants)), [plain(each["name"]) for each in variants])
    ax.set_ylim(len(variants) - 0.4, -0.6)
    unit = _metric.unit(comparison)
    ax.set_xlabel(_metric.name(comparison) + (f",{unit}" if unit else ""))
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    title(ax, _verdict.verdict(comparison).headline)
    return ax


def _line(ax: Axes, value: float | None, words: str, style: str) -> None:
    if value is None or not math.isfinite(value):
        return
    ax.axvline(value, lw=1, ls=style, color="C7", zorder=0)
    low, high = ax.get_xlim()
    right = value > (low + high) / 2
    ax.annotate(words, (value, 0), xycoords=("data", "axes fraction"),
                xytext=(-3 if right else 3, 3), textcoords="offset points", fontsize=8,
                color="C7", ha="right" if right else "left")  # fmt: skip
