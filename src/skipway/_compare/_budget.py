"""What every variant may spend: the same epochs, or the same arithmetic, or the same time.

A variant whose step costs twice as much gets half as many steps. The reference has the case's own
epochs in any case, and so have the linear and the shallow control, which would otherwise train a
hundred times as long.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Mapping
from typing import Literal

import torch
from torch.utils.flop_counter import FlopCounterMode

from .._case import Case
from .._errors import CaseError
from ._cells import Cell
from ._split import Split
from ._train import step
from ._work import build

Budget = Literal["epochs", "flops", "time"]
BUDGETS: tuple[Budget, ...] = ("epochs", "flops", "time")
_ROUNDS = 7
_AS_GIVEN = ("shallow", "linear")


def check_budget(budget: str) -> None:
    """Refuse what is no budget.

    Raises:
        CaseError: it is not one of `BUDGETS`.
    """
    if budget not in BUDGETS:
        raise CaseError(f"budget={budget!r} is none of {', '.join(map(repr, BUDGETS))}.")


def steps_for(budget: Budget, cases: Mapping[str, Case], split: Split) -> dict[str, int]:
    """Return how many steps each variant may take; empty where all have the same epochs.

    Args:
        budget: what is to be equal.
        cases: by name, the reference first.
        split: of the training data.
    """
    if budget == "epochs":
        return {}
    reference, *others = cases
    chosen = [reference, *(name for name in others if name not in _AS_GIVEN)]
    measure = _flops if budget == "flops" else _seconds
    cost = measure({name: cases[name] for name in chosen}, split)
    first = cases[reference]
    whole = math.ceil(len(split.train) / first.batch_size) * first.epochs
    return {name: max(1, round(whole * cost[reference] / cost[name])) for name in chosen}


def _flops(cases: Mapping[str, Case], split: Split) -> dict[str, float]:
    found = {}
    for name, case in cases.items():
        with torch.random.fork_rng(devices=[]):
            model, optimizer = build(case, Cell(name, 0, 1.0))
            with FlopCounterMode(display=False) as counter:
                step(case, model.train(), optimizer, split.train[: case.batch_size])
        found[name] = float(counter.get_total_flops())
        if not found[name]:
            raise CaseError(f"No multiplication of {name!r} can be counted; give budget='time'.")
    return found


def _seconds(cases: Mapping[str, Case], split: Split) -> dict[str, float]:
    """Time a step of each, on one thread, in turns, so that all meet the same machine."""
    times: dict[str, list[float]] = {name: [] for name in cases}
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        built = {name: build(case, Cell(name, 0, 1.0)) for name, case in cases.items()}
        try:
            torch.set_num_threads(1)
            for _ in range(_ROUNDS + 2):
                for name, (model, optimizer) in built.items():
                    start = time.perf_counter()
                    step(
                        cases[name], model.train(), optimizer, split.train[: cases[name].batch_size]
                    )
                    times[name].append(time.perf_counter() - start)
        finally:
            torch.set_num_threads(threads)
    return {name: statistics.median(own[2:]) for name, own in times.items()}  # the first warm up
