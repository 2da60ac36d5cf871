"""`cure`: diagnose, rewire, compare, report in a row. Nothing of its own but the order.

```
case ─► diagnose (start, after the first epochs)
          ├─ depth is the cause ─► rewire by addition, by concatenation ─┐
          ├─ another cause      ─► the remedy that the finding names ────┼─► compare ─► Cure
          └─ nothing is wrong   ─► done                                  ┘
```
"""

from __future__ import annotations

import contextlib
import datetime
import platform
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from . import _cure_words as words
from ._case import Case, split
from ._compare import Slurm, check_seeds, compare, train
from ._diagnose import diagnose
from ._errors import CaseError, ModelError, RewireError, SkipwayError
from ._remedies import better_start, in_float32, unfrozen, with_learning_rate
from ._results import Comparison, Cure, Diagnosis, Plan, Rewiring
from ._rewire import rewire

Progress = Callable[[int, int, str], None]
HOW: Mapping[Literal["add", "cat"], str] = {"add": "addition", "cat": "concatenation"}
# By default the network is looked at again after this share of its training.
_LATER = 0.2


def cure(
    case: Case,
    *,
    seeds: int = 5,
    workers: int | Executor | Slurm | None = None,
    folder: str | Path | None = None,
    controls: bool = True,
    budget: Literal["epochs", "flops", "time"] = "epochs",
    time_limit: float | None = None,
    retry_failed: bool = False,
    progress: Progress | None = None,
    command: str = "",
) -> Cure:
    """Find out why a training stalls, treat it, and prove whether that helped.

    Args:
        case: the training problem.
        seeds: how many paired trainings of every variant.
        workers: local processes, one thread each, by default one for every usable core; or an
            executor or a `skipway.Slurm` cluster, as for `compare`.
        folder: where the trainings are kept, so that a second call goes on where this one
            stopped; by default they are forgotten at the end.
        controls: whether a linear, a shallow and a better initialised network run beside.
        budget: what is equal for all variants, as for `compare`.
        time_limit: seconds for one training; one that takes longer counts as failed.
        retry_failed: train again what failed before in this folder.
        progress: called with (done, total, what) as the work goes on.
        command: how to run it again, for the report.

    Returns:
        The diagnosis before training and after the first epochs, the rewired networks, the
        comparison, and what to do in words.

    Raises:
        SkipwayError: the case cannot be run; the message says what, where and how to fix it.

    Example:
        >>> from skipway import cases, cure
        >>> result = cure(cases.load("healthy-mlp"), seeds=1)
        >>> result.outcome
        'nothing to cure'
    """
    if not isinstance(case, Case):
        raise CaseError(
            f"cure was given a {type(case).__name__}, not a Case. For a built-in one give "
            "skipway.cases.load(name), for a file skipway.cases.find(path)."
        )
    check_seeds(seeds)
    report = progress or _quiet
    report(0, 0, "diagnosing")
    start, epochs = _diagnose_at(case, 0), max(1, round(case.epochs * _LATER))
    later = _later(case, epochs, report)
    # What goes wrong only once training runs is the diagnosis where the start was fine.
    main = later if _fine(start) and later is not None and not _fine(later) else start
    rewirings, refused = _rewire_both(case, main, report)
    treated = _treated(case, main, rewirings)
    judge = partial(
        compare,
        seeds=seeds,
        workers=workers,
        folder=folder,
        controls=controls,
        budget=budget,
        time_limit=time_limit,
        retry_failed=retry_failed,
        progress=report,
    )
    comparison = _compare(case, treated, judge)
    chosen = words.recommend(comparison)
    after = _after(treated.get(chosen or ""), epochs if main is later else 0, report)
    outcome = words.outcome(main, chosen)
    return Cure(
        case=case.name,
        summary=case.summary,
        facts=words.facts(case, _build(case, 0), seeds),
        diagnosis=main,
        later=later if main is start else None,
        after=after,
        rewirings=tuple(rewirings.values()),
        refused=refused,
        comparison=comparison,
        recommended=chosen,
        outcome=outcome,
        cure=words.cure(main, rewirings, chosen, refused),
        proof=words.proof(comparison, chosen, outcome),
        command=command,
        versions=versions(),
        written=datetime.date.today().isoformat(),
    )


def diagnose_case(case: Case, *, epochs: int = 0, progress: Progress | None = None) -> Diagnosis:
    """Diagnose a case's network at the start or after some epochs of its own training."""
    report = progress or _quiet
    report(0, 0, f"training {words.counted(epochs, 'epoch')}" if epochs else "diagnosing")
    return _diagnose_at(case, epochs)


def rewire_case(
    case: Case,
    *,
    how: Literal["add", "cat", "dense"] = "add",
    plan: Plan | None = None,
    preserve: bool = False,
) -> Rewiring:
    """Rewire a case's network where its own diagnosis sees the gradient die, or by a plan."""
    inputs = inputs_of(case)
    diagnosis = _diagnose_at(case, 0) if plan is None else None
    return rewire(
        _build(case, 0), inputs, how=how, diagnosis=diagnosis, plan=plan, preserve=preserve
    )


def inputs_of(case: Case) -> Any:
    """Return the inputs of the case's first batch, which the model's forward takes."""
    if case.objective is not None:
        raise RewireError(
            f"Case {case.name!r} has an objective, so it is unknown which part of its batch the "
            "model takes. Call skipway.rewire(model, inputs) on the model yourself."
        )
    return split(case.batch())[0]


@dataclass(frozen=True)
class Rewired:
    """A model factory: the case's model with a plan applied. Plain data, so processes share it."""

    model: Callable[[], nn.Module]
    inputs: Any
    plan: Plan

    def __call__(self) -> nn.Module:
        """Build the plain model with the random numbers of now, then rewire it."""
        # A rewired model may hold new weights: they must not shift the random numbers that
        # the training draws after, or its data order would differ from the plain twin's.
        plain = self.model()
        state = torch.get_rng_state()
        model = rewire(plain, self.inputs, plan=self.plan).model
        torch.set_rng_state(state)
        assert model is not None
        return model


def _quiet(done: int, total: int, what: str) -> None:
    pass


def _build(case: Case, seed: int) -> nn.Module:
    """Build the model as a training with this seed would."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            model = case.model()
        except SkipwayError:
            raise
        except Exception as error:  # whatever the user's function raises
            raise ModelError(
                f"The model function of case {case.name!r} raised {type(error).__name__}: {error}."
            ) from error
    if not isinstance(model, nn.Module):
        raise ModelError(
            f"The model function of case {case.name!r} returned a {type(model).__name__}, not a "
            "torch.nn.Module."
        )
    return model


def _fine(diagnosis: Diagnosis) -> bool:
    return diagnosis.cause in ("healthy", "solved")


def _diagnose_at(case: Case, epochs: int) -> Diagnosis:
    model = _build(case, 0)
    optimizer = case.make_optimizer(model.parameters())
    if epochs:
        train(case, model, optimizer, seed=0, epochs=epochs)
    when = f"after {words.counted(epochs, 'epoch')}" if epochs else "before the first step"
    return diagnose(
        model,
        case.batch(),
        case.loss,
        objective=case.objective,
        optimizer=optimizer,
        when=when,
    )


def _later(case: Case, epochs: int, report: Progress) -> Diagnosis | None:
    report(0, 0, f"training {words.counted(epochs, 'epoch')} to look again")
    try:
        return _diagnose_at(case, epochs)
    except SkipwayError:
        return None  # it diverged or cannot be trained: the diagnosis at the start says why


def _rewire_both(
    case: Case, diagnosis: Diagnosis, report: Progress
) -> tuple[dict[str, Rewiring], tuple[str, ...]]:
    if diagnosis.treatment != "skip":
        return {}, ()
    done: dict[str, Rewiring] = {}
    refused: dict[str, list[str]] = {}
    for how, name in HOW.items():
        report(0, 0, f"rewiring by {name}")
        try:
            done[name] = rewire(_build(case, 0), inputs_of(case), how=how, diagnosis=diagnosis)
        except RewireError as error:
            refused.setdefault(str(error), []).append(name)
    return done, tuple(f"By {' and by '.join(who)}: {why}" for why, who in refused.items())


def _treated(
    case: Case, diagnosis: Diagnosis, rewirings: Mapping[str, Rewiring]
) -> dict[str, Case]:
    """Return the cases to hold against the given one, by name."""
    if rewirings:
        return {
            name: case.replace(model=Rewired(case.model, inputs_of(case), rewiring.plan))
            for name, rewiring in rewirings.items()
        }
    main = diagnosis.findings[0] if diagnosis.findings else None
    rate = main.suggestion.get("learning_rate") if main else None
    if diagnosis.treatment == "learning-rate" and rate is not None:
        return {f"learning rate {rate:g}": with_learning_rate(case, rate)}
    remedies: Mapping[str, tuple[str, Callable[[Case], Case]]] = {
        "precision": ("float32", in_float32),
        "unfreeze": ("unfrozen", unfrozen),
        "optimizer": ("unfrozen", unfrozen),
        "initialisation": ("better start", better_start),
        "normalisation": ("better start", better_start),
    }
    if diagnosis.treatment in remedies:
        name, remedy = remedies[diagnosis.treatment]
        # Where the remedy cannot be applied by itself, the words of the finding remain.
        with contextlib.suppress(CaseError):
            return {name: remedy(case)}
    return {}


def _compare(
    case: Case, treated: Mapping[str, Case], judge: Callable[..., Comparison]
) -> Comparison | None:
    if not treated:
        return None
    # Where the way of training is at fault and not the network, the given rate is part of what
    # is judged: nobody may choose another one.
    networks = treated.keys() & {*HOW.values(), "better start"}
    name, rates = ("plain", case.learning_rates) if networks else ("as given", (1.0,))
    return judge({name: case, **treated}, learning_rates=rates)


def _after(case: Case | None, epochs: int, report: Progress) -> Diagnosis | None:
    """Diagnose the recommended network at the same moment of training as the given one."""
    if case is None:
        return None
    report(0, 0, "diagnosing the recommended network")
    return _diagnose_at(case, epochs)


def versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    names = ("skipway", "torch", "numpy", "scipy", "scikit-learn")
    return {"Python": platform.python_version(), **{name: version(name) for name in names}}
