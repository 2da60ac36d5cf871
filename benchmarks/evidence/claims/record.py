"""How a claim is kept: a table, a picture, and what was found, beside the script that found it."""

from __future__ import annotations

import csv
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes

sys.path.insert(0, str(Path(__file__).parents[2]))

from measure import machine

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
            "seconds": round(time.perf_counter() - self._start), "machine": here["machine"],
            "torch": here["torch"], "threads": 1,
        }  # fmt: skip
        text = json.dumps(data, indent=1, ensure_ascii=False) + "\n"
        self._file.with_suffix(".json").write_text(text, encoding="utf-8")
        print(holds, found)
