"""What a comparison would run, and about how long it would take."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor

import torch

from .._results import Outlook, Run
from ._cells import Cell
from ._cluster import Slurm
from ._pool import Workers, usable_cores
from ._train import batches, step
from ._work import Job, build


def outlook(
    job: Job,
    cells: Sequence[Cell],
    kept: Mapping[Cell, Run],
    workers: Workers,
    folder: str,
) -> Outlook:
    """Return what is done, what is left, and the seconds that should take.

    A variant's time is the median of its finished trainings; where there is none yet, a few steps
    of it are timed, on one thread like the trainings.
    """
    todo = [cell for cell in cells if cell not in kept]
    measured = {name: _seconds(job, name, cells, kept) for name in _names(todo)}
    side_by_side = _count(workers)
    total = sum(measured[cell.variant] for cell in todo)
    # The last one may start when the others end.
    wait = max(total / side_by_side, max((measured[cell.variant] for cell in todo), default=0.0))
    return Outlook(
        folder=folder,
        trainings=len(cells),
        finished=sum(run.status == "done" for run in kept.values()),
        broken=sum(run.status != "done" for run in kept.values()),
        left={name: sum(cell.variant == name for cell in todo) for name in _names(cells)},
        seconds_each=measured,
        workers=side_by_side,
        seconds=wait,
    )


def _names(cells: Sequence[Cell]) -> list[str]:
    return list(dict.fromkeys(cell.variant for cell in cells))


def _count(workers: Workers) -> int:
    if isinstance(workers, Slurm):
        return workers.at_once
    if isinstance(workers, Executor):
        return max(1, int(getattr(workers, "_max_workers", 1)))
    return max(1, usable_cores() if workers is None else workers)


def _seconds(job: Job, name: str, cells: Sequence[Cell], kept: Mapping[Cell, Run]) -> float:
    known = [
        run.seconds for cell, run in kept.items() if cell.variant == name and run.status == "done"
    ]
    if known:
        return statistics.median(known)
    return _trial(job, next(cell for cell in cells if cell.variant == name))


def _trial(job: Job, cell: Cell) -> float:
    """Time a few steps of a variant and return what all its steps would take."""
    case, split = job.cases[cell.variant], job.split
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        try:
            torch.set_num_threads(1)
            model, optimizer = build(case, cell)
            parts = batches(split.train, case.batch_size, torch.Generator().manual_seed(0))
            times = []
            for part in parts[:4]:
                start = time.perf_counter()
                step(case, model.train(), optimizer, part)
                times.append(time.perf_counter() - start)
        finally:
            torch.set_num_threads(threads)
    # The first step warms up; judging after every epoch costs about a third of training on it.
    each = statistics.median(times[1:] or times)
    steps = job.steps.get(cell.variant, len(parts) * case.epochs)
    return each * steps * 4 / 3
