"""The numbers of the training curves: for the script that draws them, and as a table."""

from __future__ import annotations

import math

from . import _metric, _training
from ._values import Data, named, reals, short


def numbers(comparison: Data) -> dict[str, object]:
    """Return what the script draws: for each panel every seed, and last their median.

    What is not finite has no place on a curve and is `None`.
    """
    ends = _training.scales(comparison)
    return {
        "epochs": int(comparison["epochs"]),
        "unit": _metric.unit(comparison).strip(),
        "scales": ends,
        "panels": [
            {key: _drawn(variant, key) for key in ends}
            for variant in comparison["variants"]
            if not _training.is_linear(variant, comparison)
        ],
    }


def _drawn(variant: Data, key: str) -> list[list[float | None]]:
    histories = [reals(run[key]) for run in variant["runs"]]
    middle = [math.nan if value is None else value for value in _training.medians(histories)]
    return [
        [float(f"{value:.4g}") if math.isfinite(value) else None for value in values]
        for values in (*histories, middle)
    ]


def by_epoch(comparison: Data, key: str, most: int = 13) -> tuple[list[str], list[list[str]]]:
    """Return the medians as a table: its head, and one row for each epoch or every so many.

    Args:
        comparison: plain data.
        key: `"test"` or `"train_loss"`.
        most: rows.
    """
    variants = comparison["variants"]
    columns = [_training.medians([reals(run[key]) for run in each["runs"]]) for each in variants]
    last = max((len(column) for column in columns), default=0) - 1
    every = math.ceil(last / (most - 1)) or 1
    epochs = sorted({*range(0, last + 1, every), max(last, 0)})
    write = _metric.bare if key == "test" else lambda value, _: short(value)
    rows = [
        [str(epoch)]
        + [write(column[epoch] if epoch < len(column) else None, comparison) for column in columns]
        for epoch in epochs
    ]
    return [named(each["name"]) for each in variants], rows
