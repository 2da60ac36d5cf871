"""Where the cells run: in this process, in local processes, or in any executor."""

from __future__ import annotations

import importlib.machinery
import os
import platform
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, as_completed
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from .._case import Case
from .._errors import CaseError, RunError
from .._results import Run
from ._cells import Cell
from ._work import Job, run_cell, run_shipped

_JOB = ".job-"


def run_all(
    job: Job, cells: Sequence[Cell], workers: int | Executor | None, folder: Path
) -> Generator[tuple[Cell, Run], None, None]:
    """Run the cells and hand each result out as soon as it is there.

    Args:
        job: what the cells share; it is written into `folder` once, not sent with every cell.
        cells: what to run.
        workers: processes of this machine, 0 for this process, `None` for one a usable core; or
            an executor, whose workers must see `folder`.
        folder: for the job, while the cells run.

    Raises:
        RunError: a worker died.
        CaseError: a case cannot be sent to another process.
    """
    if isinstance(workers, int) and workers <= 0:
        for cell in cells:
            yield cell, run_cell(job, cell)
        return
    with _shipped(job, folder) as path:
        if isinstance(workers, Executor):
            yield from _collect(workers, path, cells)
        else:
            with _processes(min(workers or usable_cores(), len(cells))) as pool:
                yield from _collect(pool, path, cells)


def usable_cores() -> int:
    """Return how many cores this process may use, which can be fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _collect(pool: Executor, path: Path, cells: Sequence[Cell]) -> Iterator[tuple[Cell, Run]]:
    futures: dict[Future[Run], Cell] = {
        pool.submit(run_shipped, str(path), cell): cell for cell in cells
    }
    try:
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenExecutor as error:
        raise RunError(
            "A worker process died while it trained, which no Python error explains: most often "
            "the machine ran out of memory. Finished trainings are kept where a folder was "
            "given. Run again with fewer workers, or with workers=0 to see it happen."
        ) from error
    finally:
        for future in futures:
            future.cancel()


@contextmanager
def _processes(count: int) -> Iterator[Executor]:
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


@contextmanager
def _shipped(job: Job, folder: Path) -> Iterator[Path]:
    ours = f"{_JOB}{platform.node()}-"
    for left in folder.glob(f"{ours}*"):
        if _is_gone(left.name.removeprefix(ours).partition("-")[0]):
            left.unlink(missing_ok=True)  # of a run that was killed
    handle, name = tempfile.mkstemp(dir=folder, prefix=f"{ours}{os.getpid()}-", suffix=".pickle")
    path = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(_pickled(job))
        yield path
    finally:
        path.unlink(missing_ok=True)


def _is_gone(process: str) -> bool:
    if os.name != "posix" or not process.isdigit():
        return False  # elsewhere, signal 0 is not a harmless question
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False


def _pickled(job: Job) -> bytes:
    # cloudpickle carries lambdas and local classes, of which user's cases are full.
    import cloudpickle  # type: ignore[import-untyped]

    carried = _not_importable(job.cases.values())
    for module in carried:
        cloudpickle.register_pickle_by_value(module)
    try:
        data: bytes = cloudpickle.dumps(job)
    except Exception as error:
        raise CaseError(
            f"A case cannot be sent to another process ({type(error).__name__}: {error}). Make "
            "what it holds (an open file, a lock, a generator) inside its functions, or run with "
            "workers=0."
        ) from error
    finally:
        for module in carried:
            cloudpickle.unregister_pickle_by_value(module)
    return data


def _not_importable(cases: Any) -> list[ModuleType]:
    """Return the modules of the cases' functions that another process could not import."""
    names: dict[str, None] = {}
    for case in cases:
        names.update(dict.fromkeys(_modules(case)))
    found = [sys.modules[name] for name in names if name in sys.modules]
    return [module for module in found if _only_here(module.__name__)]


def _modules(case: Case) -> list[str]:
    parts = (case.model, case.loss, case.objective, case.optimizer, case.metric)
    found: list[str] = []
    for part in (*parts, case.train, case.test, *case.controls.values()):
        # A remedy wraps the user's own functions, which are its fields.
        for _ in range(4):
            found += [getattr(part, "__module__", None) or "", type(part).__module__]
            inner = getattr(part, "model", None) or getattr(part, "optimizer", None)
            if inner is None:
                break
            part = inner
    return list(dict.fromkeys(name for name in found if name))


def _only_here(name: str) -> bool:
    if name == "__main__" or name in sys.builtin_module_names:
        return False
    return importlib.machinery.PathFinder.find_spec(name.partition(".")[0]) is None
