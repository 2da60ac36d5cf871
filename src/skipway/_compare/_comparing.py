"""`compare`: the judge. It takes cases and does not know how the patient was treated."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path

from .._case import Case
from .._errors import CaseError
from .._results import Comparison, Outlook, Run
from ._budget import Budget, check_budget, steps_for
from ._cells import Cell, Cells
from ._controls import DETAILS
from ._csv import write_csv
from ._environment import environment
from ._lock import locked
from ._notes import Notes
from ._outlook import outlook
from ._pool import Results, Workers, clear_left, run_all
from ._saying import Saying
from ._summary import Table, best_treated, variants_of
from ._trial import Trial, check_arguments, prepare
from ._words import Writer
from ._work import Job

Progress = Callable[[int, int, str], None]


def compare(
    cases: Mapping[str, Case],
    *,
    seeds: int = 5,
    learning_rates: tuple[float, ...] | None = None,
    workers: Workers = None,
    folder: str | Path | None = None,
    controls: bool = True,
    budget: Budget = "epochs",
    time_limit: float | None = None,
    retry_failed: bool = False,
    details: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Train variants side by side over paired seeds, and say whether one is better.

    Every variant, the controls too, gets the same training data, the same data order for a seed,
    the same number of epochs and the same learning rates to choose from; the rate is chosen on a
    fifth of the training data that nobody trains on, the test set is only judged. A training
    that fails or diverges is an outcome: it counts as no better than guessing.

    Args:
        cases: name to case; the first is the reference, the others are the treated ones.
        seeds: how many trainings of every variant at every rate.
        learning_rates: factors of each optimizer's own rate; by default the first case's.
        workers: local processes of one thread each; 0 for this process, `None` for one a usable
            core; or any `concurrent.futures.Executor`, or a `skipway.Slurm` cluster, whose
            workers see `folder`.
        folder: keeps every finished training, so that the same call goes on where it stopped;
            by default nothing is kept.
        controls: whether a linear network, a shallow one and the reference with a better start,
            with norms and, where a treated one is larger, with as many parameters run beside;
            factories in the first case's `controls` are added or replace them.
        budget: what is equal for all: `"epochs"`, the arithmetic of training (`"flops"`) or the
            time on this machine (`"time"`, measured once before the first training).
        time_limit: seconds for one training; one that takes longer counts as failed.
        retry_failed: train again what failed before in this folder; by default it stays failed.
        details: what a variant is, in a few words, by name.
        progress: called with (done, total, what).

    Returns:
        The paired differences with their 95 % Student t intervals, and the answer in words.

    Raises:
        CaseError: the cases cannot be compared, or the reference fails in every training.
        SkipwayError: a case cannot be trained at all; the message says why.
        RunError: the folder belongs to another configuration, is damaged or in use by another
            process, or a worker of the given executor died.

    Example:
        >>> from skipway import cases
        >>> case = cases.load("healthy-mlp").replace(epochs=1)
        >>> result = compare({"one": case, "two": case}, seeds=2, workers=0, controls=False,
        ...                  learning_rates=(1.0,))
        >>> result.answer
        'no difference'
    """
    check_arguments(cases, seeds, learning_rates, time_limit)
    check_budget(budget)
    trial = prepare(cases, learning_rates, controls, budget)
    with ExitStack() as stack:
        if folder is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="skipway-"))
        # Before anything is read or written there: another process may be at work.
        stack.enter_context(locked(Path(folder)))
        store = Cells(Path(folder), trial.settings)
        clear_left(store.folder)
        job = replace(_with_steps(trial, store, budget), time_limit=time_limit)
        cells = trial.cells(seeds)
        if retry_failed:
            store.forget_failed(cells)
        kept = store.runs(cells)
        train = partial(run_all, job, workers=workers, store=store, settings=trial.settings)
        runs = _run(train, store, cells, kept, progress or _quiet)
        write_csv(runs, store.folder / "cells.csv")
        _check_reference(trial, runs)
        comparison = _conclude(trial, runs, seeds, store.configuration, details or {})
        comparison.save(store.folder / "comparison.json")
    return comparison


def foresee(
    cases: Mapping[str, Case],
    *,
    seeds: int = 5,
    learning_rates: tuple[float, ...] | None = None,
    workers: Workers = None,
    folder: str | Path,
    controls: bool = True,
    budget: Budget = "epochs",
    retry_failed: bool = False,
    fresh: bool = False,
) -> Outlook:
    """Return what `compare` with the same arguments would train; nothing is written.

    With `fresh` nothing counts that the folder holds, as if it were forgotten first.

    Raises:
        SkipwayError: what `compare` would raise before its first training.
    """
    check_arguments(cases, seeds, learning_rates, None)
    check_budget(budget)
    trial = prepare(cases, learning_rates, controls, budget)
    cells = trial.cells(seeds)
    with tempfile.TemporaryDirectory(prefix="skipway-") as empty:
        store = Cells(Path(empty if fresh else folder), trial.settings, claim=False)
        kept = store.runs(cells, without_failed=retry_failed)
        job = _with_steps(trial, store, budget)
        return outlook(job, cells, kept, workers, str(folder))


def _with_steps(trial: Trial, store: Cells, budget: Budget) -> Job:
    """Return the job with every variant's steps, measured once for all that a folder holds."""
    if budget == "epochs":
        return trial.job
    job = trial.job
    return replace(job, steps=store.noted("steps", lambda: steps_for(budget, job.cases, job.split)))


def _run(
    train: Callable[[Sequence[Cell]], Results],
    store: Cells,
    cells: Sequence[Cell],
    kept: Mapping[Cell, Run],
    progress: Progress,
) -> dict[Cell, Run]:
    """Return the run of every cell, in the cells' order; what is not kept is trained."""
    runs = dict(kept)
    progress(len(runs), len(cells), "training")
    todo = [cell for cell in cells if cell not in runs]
    if todo:
        # Closing it on an exception (Ctrl-C) stops what still runs.
        with closing(train(todo)) as results:
            for cell, run in results:
                if store.read(cell) is None:  # a node of a cluster has kept it already
                    store.write(cell, run)
                runs[cell] = run
                progress(len(runs), len(cells), f"{cell.variant}, seed {cell.seed}")
    return {cell: runs[cell] for cell in cells}


def _check_reference(trial: Trial, runs: Mapping[Cell, Run]) -> None:
    reference = next(iter(trial.cases))
    errors = {
        run.error if run.status == "failed" else None
        for cell, run in runs.items()
        if cell.variant == reference
    }
    if len(errors) == 1 and (error := errors.pop()) is not None:
        raise CaseError(
            f"Every training of {reference!r} failed with the same error: {error}. Train it once "
            "by itself, outside of any comparison, and fix that first."
        )


def _conclude(
    trial: Trial,
    runs: Mapping[Cell, Run],
    seeds: int,
    configuration: str,
    details: Mapping[str, str],
) -> Comparison:
    kind = trial.job.kind
    table = Table(runs, seeds, trial.rates, kind != "loss", trial.chance)
    variants = variants_of(table, trial.roles, {**DETAILS, **details}, trial.own_rates)
    best = best_treated(table, variants)
    where = environment()
    say = Saying(table, variants, best, kind)
    first = next(iter(trial.cases.values()))
    return Comparison(
        case=first.name,
        reference=variants[0].name,
        variants=variants,
        metric=kind,
        unit="points" if kind == "accuracy" else "",
        higher_is_better=table.higher_is_better,
        chance=trial.chance,
        chance_loss=trial.job.chance_loss,
        answer=best.answer if best else None,
        best=best.name if best else None,
        verdict=Writer(say).verdict(),
        notes=Notes(say, where["machine"]).written(),
        missing=trial.missing,
        seeds=seeds,
        epochs=first.epochs,
        settings=trial.settings,
        environment=where,
        configuration=configuration,
    )


def _quiet(done: int, total: int, what: str) -> None:
    pass
