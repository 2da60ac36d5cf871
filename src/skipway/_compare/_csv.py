"""All trainings of a comparison as a table for a spreadsheet or pandas."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from .._files import write_text
from .._results import Run
from ._cells import Cell

COLUMNS = (
    "variant", "seed", "learning_rate_factor", "status", "error", "stalled", "epochs",
    "train_loss", "validation", "test", "step_ms", "seconds", "parameters",
)  # fmt: skip


def write_csv(runs: Mapping[Cell, Run], path: Path) -> Path:
    """Write one line a training, the numbers at its end; empty where it never got there."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows(_row(run) for run in runs.values())
    return write_text(path, text.getvalue())


def _row(run: Run) -> tuple[object, ...]:
    train, validation, test = (
        values[-1] if values else "" for values in (run.train_loss, run.validation, run.test)
    )
    return (
        run.variant, run.seed, run.learning_rate, run.status, run.error or "", run.stalled,
        max(0, len(run.train_loss) - 1), train, validation, test, run.step_ms, run.seconds,
        run.parameters,
    )  # fmt: skip
