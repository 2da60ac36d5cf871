"""A case's own training function: what it is given, and what is measured around it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Subset

from .._case import Case, Data, size, take
from .._errors import CaseError
from ._judge import Kind, evaluate
from ._split import Split

NAMES = ("train_loss", "validation", "test")


@dataclass(frozen=True)
class Judge:
    """Measures one network at any moment of its training."""

    case: Case
    kind: Kind
    model: nn.Module
    split: Split

    def measure(self, wanted: tuple[str, ...] = NAMES) -> dict[str, float]:
        """Return these of the mean training loss, the validation metric and the test metric."""
        case = self.case
        parts: dict[str, tuple[Kind, Data, Tensor]] = {
            "train_loss": ("loss", case.train, self.split.train),
            "validation": (self.kind, case.train, self.split.validation),
            "test": (self.kind, case.test, torch.arange(size(case.test))),
        }
        found = {}
        for name in wanted:
            kind, data, index = parts[name]
            found[name] = evaluate(case, kind, self.model, data, index)[1]
        return found


def run_own(
    case: Case,
    judge: Judge,
    *,
    seed: int,
    rate: float,
    add: Callable[[Mapping[str, float]], None],
) -> None:
    """Run the case's own training; `add` gets whole metrics for every epoch noted and the end.

    Raises:
        CaseError: it notes or returns what is no metric.
    """
    data = {
        "train": part_of(case.train, judge.split.train),
        "validation": part_of(case.train, judge.split.validation),
        "test": case.test,
    }

    def log(**metrics: float) -> None:
        add(_whole(metrics, judge))

    assert case.training is not None
    returned = case.training(judge.model, data, seed=seed, rate=rate, log=log)
    if returned is not None and not isinstance(returned, Mapping):
        raise CaseError(
            f"The training of case {case.name!r} returned a {type(returned).__name__}; return "
            "None, or a dict of train_loss, validation and test."
        )
    add(_whole(dict(returned or {}), judge))


def part_of(data: Data, index: Tensor) -> Data:
    """Return these samples of the data, as the same kind of thing.

    Example:
        >>> inputs, targets = part_of((torch.arange(6), torch.arange(6)), torch.tensor([1, 3]))
        >>> inputs.tolist()
        [1, 3]
    """
    if isinstance(data, (tuple, list)):
        picked: Data = take(data, index)
        return picked
    return Subset(data, index.tolist())


def _whole(metrics: Mapping[str, Any], judge: Judge) -> dict[str, float]:
    unknown = sorted(set(metrics) - set(NAMES))
    if unknown:
        raise CaseError(
            f"The training of case {judge.case.name!r} gives {', '.join(unknown)}; what is "
            f"compared is called {', '.join(NAMES)}."
        )
    given = {name: float(value) for name, value in metrics.items()}
    missing = tuple(name for name in NAMES if name not in given)
    found = {**given, **judge.measure(missing)}
    return {name: found[name] for name in NAMES}
