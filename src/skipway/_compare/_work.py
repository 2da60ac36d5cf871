"""One cell's work: build, train, judge. This is what runs in the worker processes."""

from __future__ import annotations

import functools
import math
import pickle
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn
from torch.optim import Optimizer

from .._case import Case
from .._results import Run
from ._cells import Cell
from ._judge import Kind
from ._limit import OverTime, at_most
from ._own import NAMES, Judge, run_own
from ._split import Split
from ._train import train

# torch has one generator and one thread count a process, so of a pool of threads one works.
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True)
class Job:
    """What all cells of one comparison share.

    Attributes:
        cases: every variant's case.
        kind: what is measured.
        split: the training data's parts.
        chance_loss: of the best constant output, `None` where unknown.
        time_limit: seconds for one training, `None` for no limit.
        steps: of the variants whose budget is not the case's epochs.
    """

    cases: Mapping[str, Case]
    kind: Kind
    split: Split
    chance_loss: float | None
    time_limit: float | None = None
    steps: Mapping[str, int] = field(default_factory=dict)


@dataclass
class _Curve:
    train_loss: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    test: list[float] = field(default_factory=list)

    def add(self, metrics: Mapping[str, float]) -> None:
        for name in NAMES:
            getattr(self, name).append(metrics[name])


def run_shipped(path: str, cell: Cell) -> Run:
    """Run one cell of the job that was written to `path`."""
    return run_cell(_shipped(path), cell)


def lost(cell: Cell) -> Run:
    """Return the outcome of a cell that took its worker process down with it."""
    error = (
        "its worker process had to be given up: it died, most often because the machine ran out of "
        "memory, or hung where no signal reached it"
    )
    return Run(
        variant=cell.variant, seed=cell.seed, learning_rate=cell.factor, status="failed",
        error=error, train_loss=(), validation=(), test=(), stalled=True, step_ms=0.0,
        seconds=0.0, parameters=0,
    )  # fmt: skip


@functools.lru_cache(maxsize=1)
def _shipped(path: str) -> Job:
    job: Job = pickle.loads(Path(path).read_bytes())
    return job


def run_cell(job: Job, cell: Cell) -> Run:
    """Train and judge one variant with one seed at one learning rate.

    An exception of the model, the loss or the optimizer is an outcome, not an error here.
    """
    with _ONE_AT_A_TIME, _alone():
        _warm_up()
        start = time.perf_counter()
        curve = _Curve()
        error, step_ms, parameters = None, 0.0, 0
        try:
            with at_most(job.time_limit):
                model, optimizer = build(job.cases[cell.variant], cell)
                parameters = sum(each.numel() for each in model.parameters())
                step_ms = _follow(job, cell, model, optimizer, curve)
        except OverTime:
            error = f"it was not done after {job.time_limit:g} s, the time limit"
        except Exception as caught:
            error = _first_line(caught)
        return _outcome(job, cell, curve, error, step_ms, parameters, time.perf_counter() - start)


@functools.cache
def _warm_up() -> None:
    """Build an optimizer: the first one in a process makes torch load its compiler.

    These seconds would count against the time limit of whichever training comes first.
    """
    torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)


def build(case: Case, cell: Cell) -> tuple[nn.Module, Optimizer]:
    """Return the model as this seed starts it, and its optimizer at this rate."""
    torch.manual_seed(cell.seed)
    model = case.model()
    return model, case.make_optimizer(model.parameters(), cell.factor)


@contextmanager
def _alone() -> Iterator[None]:
    """Work on one thread, and leave thread count and random numbers as they were."""
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        try:
            torch.set_num_threads(1)
            yield
        finally:
            torch.set_num_threads(threads)


def _follow(job: Job, cell: Cell, model: nn.Module, optimizer: Optimizer, curve: _Curve) -> float:
    case, split = job.cases[cell.variant], job.split
    judge = Judge(case, job.kind, model, split)

    def note(_: int) -> bool:
        curve.add(judge.measure())
        return not math.isfinite(curve.train_loss[-1])

    if case.training is None:
        steps = job.steps.get(cell.variant)
        return train(
            case, model, optimizer, seed=cell.seed, steps=steps, index=split.train, on_epoch=note
        )
    note(0)
    torch.manual_seed(cell.seed)
    run_own(case, judge, seed=cell.seed, rate=cell.factor, add=curve.add)
    return 0.0


def _outcome(
    job: Job,
    cell: Cell,
    curve: _Curve,
    error: str | None,
    step_ms: float,
    parameters: int,
    seconds: float,
) -> Run:
    last = (curve.train_loss or [0.0])[-1]
    diverged = error is None and not math.isfinite(last)
    if diverged:
        error = f"the loss became {last} in epoch {len(curve.train_loss) - 1}"
    return Run(
        variant=cell.variant,
        seed=cell.seed,
        learning_rate=cell.factor,
        status="diverged" if diverged else "failed" if error else "done",
        error=error,
        train_loss=tuple(curve.train_loss),
        validation=tuple(curve.validation),
        test=tuple(curve.test),
        stalled=_stalled(curve.train_loss, job.chance_loss),
        step_ms=step_ms,
        seconds=seconds,
        parameters=parameters,
    )


def _stalled(losses: list[float], chance: float | None) -> bool:
    """Tell whether the loss never got 5 % below guessing, or below its own start."""
    finite = [loss for loss in losses if math.isfinite(loss)]
    if not finite:
        return True
    level = chance if chance is not None and chance > 0 else finite[0]
    return min(finite) > level - 0.05 * abs(level)


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0][:500] if text else 'no message'}"
