"""Trainings on a Slurm cluster: a job array, whose tasks write their cells themselves.

```
here      ─► the job file, a job array (submitit) ─► looks for cell files and into the queue
a node    ─► Task: its cells one after the other, each written into the folder at once
```
What a node has finished is kept whatever happens here; a task that the cluster ends early (a node
fails, somebody cancels it) is run again by the same command. One that is preempted goes back into
the queue by itself and leaves out what it had finished.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._errors import RunError
from .._results import Run
from ._cells import Cell, Cells
from ._work import run_shipped

_PAGE = "cluster#on-slurm"  # of the docs

_NOTE = ".submitted"


@dataclass(frozen=True)
class Slurm:
    """Where `compare` trains when one machine is too small: a Slurm cluster.

    It needs the extra `skipway[cluster]` (submitit), `sbatch` on the machine, and a folder that
    all nodes see.

    Args:
        options: for the jobs, by submitit's names: `timeout_min`, `mem_gb`, `cpus_per_task`,
            `gpus_per_node`, `slurm_partition`, `slurm_account`, ...
        at_once: how many tasks of the array may run side by side.
        together: trainings in one task, one after the other; more where a training is short
            beside the seconds that a start takes.
        poll: seconds between two looks at the queue.

    Raises:
        RunError: one of the numbers makes no sense; the message says which, and what to give.

    Example:
        >>> Slurm({"slurm_partition": "gpu", "gpus_per_node": 1, "timeout_min": 90}, together=4)
        Slurm(options={'slurm_partition': 'gpu', 'gpus_per_node': 1, 'timeout_min': 90}, ...
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    at_once: int = 256
    together: int = 1
    poll: float = 5.0

    def __post_init__(self) -> None:
        for name in ("at_once", "together"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise RunError(
                    f"{name}={value!r} runs nothing; give a whole number, 1 or more.",
                    page=_PAGE,
                )
        if not isinstance(self.poll, (int, float)) or not self.poll > 0:
            raise RunError(
                f"poll={self.poll!r} is no waiting time; give seconds above zero.",
                page=_PAGE,
            )


@dataclass
class Task:
    """What one task of the array does. A node runs it with its own copy."""

    job: str
    folder: str
    settings: Mapping[str, str]
    cells: Sequence[Cell]

    def __call__(self) -> int:
        """Train what is not there yet, and keep each training at once; return how many."""
        store = Cells(Path(self.folder), self.settings)
        left = [cell for cell in self.cells if store.read(cell) is None]
        for cell in left:
            store.write(cell, run_shipped(self.job, cell))
        return len(left)

    def checkpoint(self) -> Any:
        """Go back into the queue when the cluster wants the node for others."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def run_on_cluster(
    cluster: Slurm, job: Path, store: Cells, settings: Mapping[str, str], cells: Sequence[Cell]
) -> Generator[tuple[Cell, Run], None, None]:
    """Submit the cells and hand each result out as soon as its file is there.

    Raises:
        RunError: there is no cluster, or it ended some tasks before they were done.
    """
    logs = store.folder / "cluster"
    tasks = [
        Task(str(job.resolve()), str(store.folder.resolve()), settings, part)
        for part in _parts(cells, cluster.together)
    ]
    with _submitted(cluster, tasks, logs) as jobs:
        running = {name: list(task.cells) for name, task in zip(jobs, tasks, strict=True)}
        lost: dict[str, list[Cell]] = {}
        while running:
            queued = _queued(jobs)
            # First the queue, then the files: what has left the queue has written its files.
            for name in list(running):
                for cell, run in _finished(store, running[name]):
                    running[name].remove(cell)
                    yield cell, run
                if running[name] and name not in queued:
                    lost[name] = running[name]
                if not running[name] or name in lost:
                    del running[name]
            if running:
                time.sleep(cluster.poll)
    if lost:
        raise RunError(_early(lost, logs), page=_PAGE)


def _parts(cells: Sequence[Cell], size: int) -> list[Sequence[Cell]]:
    return [cells[start : start + size] for start in range(0, len(cells), size)]


def _finished(store: Cells, cells: Sequence[Cell]) -> Iterator[tuple[Cell, Run]]:
    for cell in tuple(cells):
        run = store.read(cell)
        if run is not None:
            yield cell, run


@contextmanager
def _submitted(cluster: Slurm, tasks: Sequence[Task], logs: Path) -> Iterator[list[str]]:
    """Yield the ids of the array's tasks; what still runs at the end is cancelled."""
    try:
        import submitit
    except ImportError as error:
        raise RunError(
            "A Slurm cluster is reached through submitit, which is not installed: "
            "pip install 'skipway[cluster]'.",
            page=_PAGE,
        ) from error
    try:
        executor = submitit.AutoExecutor(folder=logs / "%A", cluster="slurm")
        executor.update_parameters(
            name="skipway", slurm_array_parallelism=cluster.at_once,
            **{"cpus_per_task": 1, "timeout_min": 60, **cluster.options},
        )  # fmt: skip
        with executor.batch():
            jobs = [executor.submit(task) for task in tasks]
        names = [str(each.job_id) for each in jobs]
    except (RuntimeError, ValueError, subprocess.CalledProcessError, OSError) as error:
        raise RunError(
            f"The cluster did not take the trainings: {error} Check that sbatch works here, and "
            "the options.",
            page=_PAGE,
        ) from error
    note = logs.parent / _NOTE
    note.write_text("\n".join(names), encoding="utf-8")
    try:
        yield names
    finally:
        cancel_left(logs.parent)


def cancel_left(folder: Path) -> None:
    """Cancel what a run of this folder left in the queue, one that was killed included."""
    note = folder / _NOTE
    if not note.exists():
        return
    names = {name.partition("_")[0] for name in note.read_text(encoding="utf-8").split()}
    # Numbers only: what else stands in a file of somebody else's would be taken for options.
    if arrays := sorted(name for name in names if name.isdigit()):
        with suppress(OSError):
            subprocess.run(["scancel", *arrays], capture_output=True, check=False)
    note.unlink()


def _queued(names: Sequence[str]) -> set[str]:
    """Return which of these tasks wait or run."""
    arrays = ",".join(sorted({name.partition("_")[0] for name in names}))
    asked = subprocess.run(
        ["squeue", "-h", "-r", "-j", arrays, "-o", "%A %i %T"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if asked.returncode and "Invalid job id" not in asked.stderr:
        return set(names)  # the controller may be restarting; a later look tells
    return {line.split()[1] for line in asked.stdout.splitlines() if line.strip()}


def _early(lost: Mapping[str, Sequence[Cell]], logs: Path) -> str:
    count = sum(len(cells) for cells in lost.values())
    name = next(iter(lost))
    said = _last_line(logs, name)
    return (
        f"The cluster ended {len(lost)} task{'s' if len(lost) > 1 else ''} before {count} "
        f"training{'s were' if count > 1 else ' was'} done, first {name}"
        f"{f' ({said})' if said else ''}. All that was finished is kept; the same command runs "
        f"the rest. What the tasks printed is in {logs}; where memory or time ran out, give more "
        "in the options."
    )


def _last_line(logs: Path, name: str) -> str:
    for path in sorted(logs.glob(f"*/{name}*.err")):
        lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        if lines:
            return lines[-1][:200]
    return ""
