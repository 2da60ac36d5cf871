"""`compare`: the judge. It takes cases and does not know how the patient was treated."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from .._case import Case, are_rates
from .._errors import CaseError, SkipwayError
from .._results import Comparison, Run
from ._cells import Cell, Cells
from ._check import check, check_comparable
from ._controls import DETAILS, controls_of
from ._csv import write_csv
from ._environment import environment
from ._judge import Kind, chance_loss, chance_metric, metric_kind
from ._pool import run_all
from ._settings import settings_of
from ._split import split_train
from ._summary import Role, Table, best_treated, variants_of
from ._words import Writer
from ._work import Job

Progress = Callable[[int, int, str], None]


def compare(
    cases: Mapping[str, Case],
    *,
    seeds: int = 5,
    learning_rates: tuple[float, ...] | None = None,
    workers: int | Executor | None = None,
    folder: str | Path | None = None,
    controls: bool = True,
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
            core; or any `concurrent.futures.Executor` whose workers see `folder`.
        folder: keeps every finished training, so that the same call goes on where it stopped;
            by default nothing is kept.
        controls: whether a linear network, a shallow one and the reference with a better start
            run beside; factories in the first case's `controls` are added or replace them.
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
    _check_arguments(cases, seeds, learning_rates, time_limit)
    trial = _prepare(cases, learning_rates, controls)
    job = replace(trial.job, time_limit=time_limit)
    with ExitStack() as stack:
        if folder is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="skipway-"))
        store = Cells(Path(folder), trial.settings)
        stack.enter_context(store.locked())
        cells = trial.cells(seeds)
        kept = store.runs(cells, without_failed=retry_failed)
        runs = _run(job, store, cells, kept, workers, progress or _quiet)
        write_csv(runs, store.folder / "cells.csv")
        _check_reference(trial, runs)
        comparison = _conclude(trial, runs, seeds, store.configuration, details or {})
        comparison.save(store.folder / "comparison.json")
    return comparison


@dataclass(frozen=True)
class _Trial:
    """What is to be compared, checked and ready to run."""

    cases: Mapping[str, Case]
    roles: Mapping[str, Role]
    own_rates: Mapping[str, float | None]
    rates: tuple[float, ...]
    job: Job
    chance: float | None
    missing: tuple[str, ...]
    settings: dict[str, str]

    def cells(self, seeds: int) -> list[Cell]:
        """Return every training, all variants of one seed after the other."""
        return [
            Cell(name, seed, rate)
            for seed in range(seeds)
            for name in self.cases
            for rate in self.rates
        ]


def check_seeds(seeds: int) -> None:
    """Refuse what is no number of seeds.

    Raises:
        CaseError: it is no whole number, or less than one.
    """
    if isinstance(seeds, bool) or not isinstance(seeds, int) or seeds < 1:
        raise CaseError(
            f"seeds={seeds!r} compares nothing; give a whole number, 1 or more, 5 to learn "
            "something."
        )


def _check_arguments(
    cases: Mapping[str, Case],
    seeds: int,
    rates: tuple[float, ...] | None,
    time_limit: float | None,
) -> None:
    if not isinstance(cases, Mapping):
        raise CaseError(
            f"compare was given a {type(cases).__name__}; give cases by name: "
            '{"plain": case, "addition": other}.'
        )
    for name, case in cases.items():
        if not isinstance(case, Case):
            raise CaseError(
                f"{name!r} is a {type(case).__name__}, not a Case; make one of it: "
                "case.replace(model=...)."
            )
    if not cases:
        raise CaseError('There is nothing to compare; give cases by name: {"plain": case, ...}.')
    check_seeds(seeds)
    if rates is not None and not are_rates(rates):
        raise CaseError(
            f"learning_rates={rates!r} makes no sense; give factors above zero, (1.0,) for each "
            "optimizer's own rate only."
        )
    if time_limit is not None and not time_limit > 0:
        raise CaseError(
            f"time_limit={time_limit!r} lets nothing train; give seconds above zero, or None."
        )
    check_comparable(cases)


def _prepare(
    cases: Mapping[str, Case], rates: tuple[float, ...] | None, with_controls: bool
) -> _Trial:
    first = next(iter(cases.values()))
    models = {name: check(name, case) for name, case in cases.items()}
    reference = next(iter(models.values()))
    beside, missing = controls_of(first, reference) if with_controls else ({}, ())
    beside = {name: case for name, case in beside.items() if name not in cases}
    checked, failed = _check_controls(beside)
    models |= checked
    everyone = {**cases, **{name: beside[name] for name in checked}}
    rates = tuple(dict.fromkeys(sorted(first.learning_rates if rates is None else rates)))
    kind = _common_kind(everyone, models)
    split = split_train(first)
    guess = chance_loss(first, reference, split.train)
    return _Trial(
        cases=everyone,
        roles=_roles(cases, checked),
        own_rates={name: _own_rate(everyone[name], model) for name, model in models.items()},
        rates=rates,
        job=Job(cases=everyone, kind=kind, split=split, chance_loss=guess),
        chance=chance_metric(kind, first.test, guess),
        missing=(*missing, *failed),
        settings=settings_of(everyone, models, rates),
    )


def _check_controls(beside: Mapping[str, Case]) -> tuple[dict[str, nn.Module], tuple[str, ...]]:
    checked: dict[str, nn.Module] = {}
    failed: list[str] = []
    for name, case in beside.items():
        try:
            checked[name] = check(name, case)
        except SkipwayError as error:
            failed.append(f"No {name} control: {error}")
    return checked, tuple(failed)


def _roles(cases: Mapping[str, Case], beside: Mapping[str, nn.Module]) -> dict[str, Role]:
    reference, *treated = cases
    roles: dict[str, Role] = {reference: "reference"}
    roles |= dict.fromkeys(treated, "treated")
    roles |= dict.fromkeys(beside, "control")
    return roles


def _common_kind(cases: Mapping[str, Case], models: Mapping[str, nn.Module]) -> Kind:
    kinds = {name: metric_kind(case, models[name].eval()) for name, case in cases.items()}
    (first, kind), *others = kinds.items()
    for name, other in others:
        if other != kind:
            raise CaseError(
                f"{name!r} would be judged by its {other} and {first!r} by its {kind}; give both "
                "cases the same metric."
            )
    return kind


def _own_rate(case: Case, model: nn.Module) -> float | None:
    rates = {group["lr"] for group in case.make_optimizer(model.parameters()).param_groups}
    return float(rates.pop()) if len(rates) == 1 else None


def _run(
    job: Job,
    store: Cells,
    cells: Sequence[Cell],
    kept: Mapping[Cell, Run],
    workers: int | Executor | None,
    progress: Progress,
) -> dict[Cell, Run]:
    """Return the run of every cell, in the cells' order; what is not kept is trained."""
    runs = dict(kept)
    progress(len(runs), len(cells), "training")
    todo = [cell for cell in cells if cell not in runs]
    if todo:
        # Closing it on an exception (Ctrl-C) stops what still runs.
        with closing(run_all(job, todo, workers, store.folder)) as results:
            for cell, run in results:
                store.write(cell, run)
                runs[cell] = run
                progress(len(runs), len(cells), f"{cell.variant}, seed {cell.seed}")
    return {cell: runs[cell] for cell in cells}


def _check_reference(trial: _Trial, runs: Mapping[Cell, Run]) -> None:
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
    trial: _Trial,
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
    writer = Writer(table, variants, best, kind, where["machine"])
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
        verdict=writer.verdict(),
        notes=writer.notes(),
        missing=trial.missing,
        seeds=seeds,
        epochs=first.epochs,
        settings=trial.settings,
        environment=where,
        configuration=configuration,
    )


def _quiet(done: int, total: int, what: str) -> None:
    pass
