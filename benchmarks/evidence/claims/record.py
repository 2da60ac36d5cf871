"""How a claim is kept: a table, a picture, and what was found, beside the script that found it.

Trainings are kept under build/evidence while a claim is at work, so that the same command goes on
where it was stopped; delete that folder to begin anew.
"""

from __future__ import annotations

import csv
import json
import math
import os
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from scipy import stats

from skipway import Case, Comparison, compare

sys.path.insert(0, str(Path(__file__).parents[2]))

from measure import machine

KEPT = Path(__file__).parents[3] / "build" / "evidence"
# Colours that people with any kind of colour vision tell apart (Okabe and Ito 2008).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


class Claim:
    """One claim of the literature, tried on this machine.

    Args:
        script: the file that tries it; the results lie beside it.
        claim: in one sentence, as its authors say it.
        source: who says it, and where.
        seeds: how many.
    """

    def __init__(self, script: str, claim: str, source: str, seeds: int) -> None:
        torch.set_num_threads(1)
        self._file, self._start = Path(script), time.perf_counter()
        self._about = {"claim": claim, "source": source, "seeds": seeds}
        self._rows: list[dict[str, Any]] = []
        self._waited = self._trained = 0.0

    def folder(self, name: str) -> Path:
        """Return where the trainings of one of its comparisons are kept."""
        return KEPT / self._file.stem / name

    def compare(self, name: str, cases: Mapping[str, Case], **options: Any) -> Comparison:
        """Compare over this claim's seeds, in this process; what is kept is not trained again."""
        start = time.perf_counter()
        given = {"seeds": self._about["seeds"], "workers": 0, "progress": _say, **options}
        result = compare(cases, folder=self.folder(name), **given)
        self._waited += time.perf_counter() - start
        with (self.folder(name) / "cells.csv").open(newline="") as file:
            self._trained += sum(float(row["seconds"]) for row in csv.DictReader(file))
        return result

    def row(self, **values: Any) -> None:
        """Add a line to the table; numbers are written with four digits."""
        self._rows.append({k: f"{v:.4g}" if isinstance(v, float) else v for k, v in values.items()})
        print(*self._rows[-1].values(), flush=True)

    def axes(self, *, x: str, y: str, log: str = "") -> Axes:
        """Return empty axes; `log` names those of `x` and `y` that are logarithmic."""
        _, axes = plt.subplots(figsize=(6.4, 3.8), constrained_layout=True)
        axes.set(xlabel=x, ylabel=y)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_prop_cycle(color=COLOURS)
        if "x" in log:
            axes.set_xscale("log")
        if "y" in log:
            axes.set_yscale("log")
        return axes

    def close(self, found: str, *, holds: str, axes: Axes) -> None:
        """Write table, picture and finding.

        Args:
            found: what was measured, in one or two sentences with the numbers.
            holds: `"yes"`, `"partly"` or `"no"`.
            axes: the picture.
        """
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False)
        axes.figure.savefig(self._file.with_suffix(".png"), dpi=110)  # type: ignore[union-attr]
        with self._file.with_suffix(".csv").open("w", newline="") as file:
            columns: Sequence[str] = list(dict.fromkeys(k for row in self._rows for k in row))
            table = csv.DictWriter(file, columns, lineterminator="\n")
            table.writeheader()
            table.writerows(self._rows)
        here = machine()
        data = {
            **self._about, "found": found, "holds": holds,
            "seconds": round(self._seconds()), "machine": here["machine"],
            "torch": here["torch"], "threads": 1, "load": round(os.getloadavg()[2], 1),
        }  # fmt: skip
        text = json.dumps(data, indent=1, ensure_ascii=False) + "\n"
        self._file.with_suffix(".json").write_text(text, encoding="utf-8")
        print(holds, found)

    def _seconds(self) -> float:
        """Return what it takes from nothing: the trainings that were kept count too."""
        return time.perf_counter() - self._start - self._waited + self._trained


@dataclass(frozen=True)
class Gap:
    """The mean of paired differences with its 95 % Student t interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        """Write `3.1 (2.0 to 4.2)`."""
        return f"{self.mean:.1f} ({self.low:.1f} to {self.high:.1f})".replace("-", "−")

    @property
    def sign(self) -> int:
        """1 or -1 where the interval leaves out zero, else 0."""
        return 1 if self.low > 0 else -1 if self.high < 0 else 0


def gap(ends: Sequence[float], others: Sequence[float]) -> Gap:
    """Return by how much `ends` are above `others`, seed by seed."""
    differences = [a - b for a, b in zip(ends, others, strict=True)]
    mean, pairs = statistics.fmean(differences), len(differences)
    error = statistics.stdev(differences) / math.sqrt(pairs)
    half = float(stats.t.ppf(0.975, pairs - 1)) * error
    return Gap(mean, mean - half, mean + half)


def _say(done: int, total: int, what: str) -> None:
    print(f"{done}/{total} {what}", file=sys.stderr, flush=True)
