"""Draw docs/thresholds.png from the readings: `python docs/thresholds.py`.

For each threshold: what was read of the patients that train as they are, and of those that have the
illness which the threshold is for, seeds as separate dots (benchmarks/evidence/readings.csv and, of
the held-out ones, readings_held_out_now.csv, readings_held_out_again_now.csv and
readings_held_out_in_practice_now.csv). Up to a dotted line a few steps on a copy decide.
"""

from __future__ import annotations

import csv
import random
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from skipway._diagnose import _thresholds as limit

HERE = Path(__file__).parent
EVIDENCE = HERE.parent / "benchmarks" / "evidence"
READINGS = (
    "readings",
    "readings_held_out_now",
    "readings_held_out_again_now",
    "readings_held_out_in_practice_now",
)
WELL, SICK, INK = "#2a7f62", "#c2452d", "#333333"
Row = dict[str, str]


@dataclass(frozen=True)
class Threshold:
    """One panel: a column of the readings, the limit, and the illness that lies beyond it.

    Between the limit and `doubt`, where there is one, a few steps on a copy decide.
    """

    column: str
    value: float
    cause: str
    words: str
    above: bool
    low: float
    high: float
    linear: bool = False
    doubt: float | None = None


PANELS = [
    Threshold("decades lost", limit.DYING, "vanishing",
              "decades of elasticity lost on the way back", True, 0, 30, True),
    Threshold("lowest elasticity", limit.WEAK, "vanishing",
              "lowest elasticity", False, 1e-20, 1e3, doubt=limit.SURELY_DYING),
    Threshold("highest weight elasticity", limit.EXPLODING, "exploding",
              "highest weight elasticity", True, 1e-2, 1e6, doubt=limit.SURELY_EXPLODING),
    Threshold("growth", limit.GROWTH, "exploding",
              "growth of the signal, first to last layer", True, 1e-2, 1e6),
    Threshold("skill", limit.MISSCALED, "exploding",
              "loss over that of a constant answer", True, 1e-4, 1e8),
    Threshold("silent", limit.SILENT, "dead-units",
              "largest share of a layer's units that are off", True, 0, 1, True),
    Threshold("saturated", limit.SATURATED, "saturation",
              "largest share of a layer's values on flat ends", True, 0, 1, True),
    Threshold("arriving", limit.COLLAPSED, "collapsed-signal",
              "what differs between samples, at the last layer", False, 1e-8, 1,
              doubt=limit.SURELY_COLLAPSED),
    Threshold("planned", limit.SLOW, "lr-too-small",
              "part of the loss that one step removes", False, 1e-9, 1e3),
    Threshold("planned", limit.FAST, "lr-too-large",
              "part of the loss that one step removes", True, 1e-9, 1e3, doubt=limit.DOUBTFUL),
    Threshold("dependence", limit.INDEPENDENT, "no-signal",
              "p of no dependence between inputs and targets", True, 0, 1, True),
    Threshold("end", limit.STUCK, "lr-too-large",
              "loss after the steps tried, over that before or a constant's", True, 0, 2, True),
    Threshold("lost", limit.LOST, "precision",
              "share of updates lost to rounding", True, 0, 1, True),
    Threshold("decay", limit.DECAY, "weight-decay",
              "weight decay over gradient", True, 1e-4, 1e3),
    Threshold("skill", limit.SOLVED, "solved",
              "loss over that of a constant answer", False, 1e-4, 1e8),
    Threshold("held out", limit.CARRIED_OVER, "no-signal",
              "loss of the other half of the batch, at best", True, 0, 1.5, True),
    Threshold("squashed", limit.SQUASHED, "saturation",
              "what the range of the answers puts out of reach", True, 0, 1, True),
    Threshold("distance", limit.FAR_OFF, "exploding",
              "targets of a regression over answers", True, 1e-2, 1e6),
    Threshold("noise", limit.DROWNED, "collapsed-signal",
              "share of the answers that is the network's noise", True, 0, 1, True),
]  # fmt: skip


def main() -> None:
    """Draw all panels into one picture."""
    rows: list[Row] = []
    for name in READINGS:
        with (EVIDENCE / f"{name}.csv").open(newline="") as file:
            rows += csv.DictReader(file)
    random.seed(0)
    figure, panels = plt.subplots(10, 2, figsize=(11, 17.1))
    for panel, threshold in zip_longest(panels.T.flat, PANELS):
        if threshold is None:
            panel.set_axis_off()
        else:
            _draw(panel, threshold, rows)
    figure.tight_layout(h_pad=1.2)
    figure.savefig(HERE / "thresholds.png", dpi=110)


def _draw(panel: Axes, threshold: Threshold, rows: list[Row]) -> None:
    well = [row for row in rows if row["trains"] == "yes" and row["cause"] != threshold.cause]
    sick = [row for row in rows if row["cause"] == threshold.cause]
    for height, group, colour in ((1, well, WELL), (0, sick, SICK)):
        values = [_clipped(row.get(threshold.column), threshold) for row in group]
        values = [value for value in values if value is not None]
        heights = [height + random.uniform(-0.25, 0.25) for _ in values]
        panel.plot(values, heights, "o", color=colour, markersize=3.5, alpha=0.55, mew=0)
    panel.axvline(threshold.value, color=INK, linewidth=1)
    if threshold.doubt is not None:
        panel.axvline(threshold.doubt, color=INK, linewidth=1, linestyle=":")
    panel.set_xscale("linear" if threshold.linear else "log")
    margin = 0.02 * (threshold.high - threshold.low) if threshold.linear else 0
    panel.set_xlim(threshold.low - margin, threshold.high + margin)
    panel.set_ylim(-0.6, 1.6)
    panel.set_yticks([0, 1], [threshold.cause, "trains"])
    panel.set_title(f"{threshold.words}: {_number(threshold.value)}", fontsize=9, loc="left")
    panel.tick_params(labelsize=8)
    for side in ("top", "right", "left"):
        panel.spines[side].set_visible(False)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 2 else f"{value:.2g}"


def _clipped(text: str | None, threshold: Threshold) -> float | None:
    """Return the value, drawn at the edge where it lies outside the panel."""
    if not text or text == "nan":
        return None
    return min(max(float(text), threshold.low), threshold.high)


if __name__ == "__main__":
    main()
