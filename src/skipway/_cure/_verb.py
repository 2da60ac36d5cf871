"""`cure`: diagnose, rewire, compare, report in a row. Nothing of its own but the order.

```
case ─► diagnose (start, after the first epochs)
          ├─ depth is the cause ─► rewire by addition, by concatenation ─┐
          ├─ another cause      ─► the remedy that the finding names ────┼─► compare ─► Cure
          └─ nothing is wrong   ─► done                                  ┘
```
"""

from __future__ import annotations

import datetime
import platform
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from .._case import Case
from .._compare import Slurm, check_seeds, compare
from .._errors import CaseError, SkipwayError
from .._results import Comparison, Cure, Diagnosis
from . import _words as words
from ._one_case import Progress, build, diagnose_at, quiet
from ._treatment import HOW, rewire_both, treated_cases

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
    report = progress or quiet
    report(0, 0, "diagnosing")
    start, epochs = diagnose_at(case, 0), max(1, round(case.epochs * _LATER))
    later = _later(case, epochs, report)
    # What goes wrong only once training runs is the diagnosis where the start was fine.
    main = later if _fine(start) and later is not None and not _fine(later) else start
    rewirings, refused = rewire_both(case, main, report)
    treated = treated_cases(case, main, rewirings)
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
        facts=words.facts(case, build(case, 0), seeds),
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


def _fine(diagnosis: Diagnosis) -> bool:
    return diagnosis.cause in ("healthy", "solved")


def _later(case: Case, epochs: int, report: Progress) -> Diagnosis | None:
    report(0, 0, f"training {words.counted(epochs, 'epoch')} to look again")
    try:
        return diagnose_at(case, epochs)
    except SkipwayError:
        return None  # it diverged or cannot be trained: the diagnosis at the start says why


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
    return diagnose_at(case, epochs)


def versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    names = ("skipway", "torch", "numpy", "scipy", "scikit-learn")
    return {"Python": platform.python_version(), **{name: version(name) for name in names}}
