"""Where the cells run: in this process, in local processes, in any executor, on a cluster."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    as_completed,
    wait,
)
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from .._errors import RunError
from .._results import Run
from ._cells import Cell, Cells
from ._cluster import Slurm, cancel_left, run_on_cluster
from ._ship import shipped, sweep
from ._work import Job, lost, run_cell, run_shipped

Workers = int | Executor | Slurm | None
Results = Generator[tuple[Cell, Run], None, None]


def run_all(
    job: Job,
    cells: Sequence[Cell],
    workers: Workers,
    store: Cells,
    settings: Mapping[str, str],
) -> Results:
    """Run the cells and hand each result out as soon as it is there.

    Args:
        job: what the cells share; it is written into the folder once, not sent with every cell.
        cells: what to run.
        workers: processes of this machine, 0 for this process, `None` for one a usable core; or
            an executor or a cluster, whose workers must see the folder.
        store: where the cells are kept.
        settings: of the store.

    Raises:
        RunError: a worker of a given executor died, or the cluster ended trainings early.
        CaseError: a case cannot be sent to another process.
    """
    if isinstance(workers, int) and workers <= 0:
        for cell in cells:
            yield cell, run_cell(job, cell)
        return
    with shipped(job, store.folder) as path:
        if isinstance(workers, Slurm):
            yield from run_on_cluster(workers, path, store, settings, cells)
        elif isinstance(workers, Executor):
            yield from _collect(workers, path, cells)
        else:
            yield from _local(path, cells, workers or usable_cores(), _patience(job.time_limit))


def clear_left(folder: Path) -> None:
    """End and remove what a killed run left behind: jobs in a cluster's queue, job files."""
    cancel_left(folder)
    sweep(folder)


def usable_cores() -> int:
    """Return how many cores this process may use, which can be fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _collect(pool: Executor, path: Path, cells: Sequence[Cell]) -> Results:
    futures: dict[Future[Run], Cell] = {
        pool.submit(run_shipped, str(path), cell): cell for cell in cells
    }
    try:
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenExecutor as error:
        raise RunError(
            "A worker of the given executor died while it trained, which no Python error explains: "
            "most often the machine ran out of memory. Finished trainings are kept where a folder "
            "was given. Run again with fewer workers, or with workers=0 to see it happen."
        ) from error
    finally:
        for future in futures:
            future.cancel()


def _patience(time_limit: float | None) -> float | None:
    """Return the seconds after which a worker hangs where the limit's signal does not reach it."""
    return None if time_limit is None else 2 * time_limit + 10


def _local(path: Path, cells: Sequence[Cell], count: int, patience: float | None) -> Results:
    """Run the cells in processes of this machine; one that costs its worker is an outcome."""
    left = list(cells)
    while left:
        suspects = yield from _side_by_side(path, left, count, patience)
        # Alone, so that who dies did it by itself and not beside another that took the memory.
        for cell in suspects:
            left.remove(cell)
            yield cell, _alone(path, cell, patience)


def _side_by_side(
    path: Path, left: list[Cell], count: int, patience: float | None
) -> Generator[tuple[Cell, Run], None, list[Cell]]:
    """Run cells and remove them from `left`; return those that ran when a worker was lost."""
    flying: dict[Future[Run], Cell] = {}
    waiting = iter(tuple(left))
    with _processes(min(count, len(left))) as pool:
        try:
            while True:
                # No more than can run at once, so that it is known who ran.
                for cell in islice(waiting, count - len(flying)):
                    flying[pool.submit(run_shipped, str(path), cell)] = cell
                if not flying:
                    return []
                done = wait(flying, patience, FIRST_COMPLETED).done
                if not done:
                    pool.shutdown(wait=True, kill_workers=True)
                    return list(flying.values())
                for future in done:
                    run = future.result()
                    cell = flying.pop(future)
                    left.remove(cell)
                    yield cell, run
        except BrokenExecutor:
            return list(flying.values())


def _alone(path: Path, cell: Cell, patience: float | None) -> Run:
    with _processes(1) as pool:
        future: Future[Run] = pool.submit(run_shipped, str(path), cell)
        try:
            return future.result(patience)
        except BrokenExecutor:
            return lost(cell)
        except TimeoutError:
            pool.shutdown(wait=True, kill_workers=True)
            return lost(cell)


@contextmanager
def _processes(count: int) -> Iterator[Any]:
    # Imported late: it is not needed to plan, to read back or to run in this process.
    from loky import get_reusable_executor

    # Unlike the standard library's, these processes need no `if __name__ == "__main__"`.
    pool: Any = get_reusable_executor(
        max_workers=count, timeout=20, initializer=_end_with_parent, initargs=(os.getpid(),)
    )
    try:
        yield pool
    except BaseException:
        # Also on Ctrl-C: without this, what runs would run on to its end.
        pool.shutdown(wait=True, kill_workers=True)
        raise


def _end_with_parent(parent: int) -> None:
    """End this worker soon after `parent` is gone.

    A parent that is killed cannot stop its workers, which would train on for nobody.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    if os.getppid() == parent:
        threading.Thread(target=watch, daemon=True).start()
