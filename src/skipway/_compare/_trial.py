"""Everything before the first training: are these cases comparable, and what will be run?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from .._case import Case, are_rates
from .._errors import CaseError, SkipwayError
from ._cells import Cell
from ._check import check, check_comparable
from ._controls import controls_of
from ._judge import Kind, chance_loss, chance_metric, metric_kind
from ._settings import settings_of
from ._split import split_train
from ._summary import Role
from ._work import Job

_PAGE = "compare#comparing-did-it-help-by-how-much-how-sure"  # of the docs


@dataclass(frozen=True)
class Trial:
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
            "something.",
            page=_PAGE,
        )


def check_arguments(
    cases: Mapping[str, Case],
    seeds: int,
    rates: tuple[float, ...] | None,
    time_limit: float | None,
) -> None:
    """Refuse arguments of `compare` that make no sense.

    Raises:
        CaseError: the message says which, and what to give.
    """
    if not isinstance(cases, Mapping):
        raise CaseError(
            f"compare was given a {type(cases).__name__}; give cases by name: "
            '{"plain": case, "addition": other}.',
            page=_PAGE,
        )
    for name, case in cases.items():
        if not isinstance(case, Case):
            raise CaseError(
                f"{name!r} is a {type(case).__name__}, not a Case; make one of it: "
                "case.replace(model=...).",
                page=_PAGE,
            )
    if not cases:
        raise CaseError(
            'There is nothing to compare; give cases by name: {"plain": case, ...}.',
            page=_PAGE,
        )
    check_seeds(seeds)
    if rates is not None and not are_rates(rates):
        raise CaseError(
            f"learning_rates={rates!r} makes no sense; give factors above zero, (1.0,) for each "
            "optimizer's own rate only.",
            page=_PAGE,
        )
    if time_limit is not None and not 0 < time_limit < math.inf:
        raise CaseError(
            f"time_limit={time_limit!r} is no limit for a training; give seconds above zero, or "
            "None.",
            page=_PAGE,
        )
    check_comparable(cases)


def prepare(
    cases: Mapping[str, Case],
    rates: tuple[float, ...] | None,
    with_controls: bool,
    budget: str = "epochs",
) -> Trial:
    """Build every variant once, take one step with it, and settle what all cells share.

    Raises:
        SkipwayError: the cases cannot be compared, or one cannot be trained.
    """
    first = next(iter(cases.values()))
    models = {name: check(name, case) for name, case in cases.items()}
    reference, *treated = models.values()
    beside, missing = controls_of(first, reference, treated) if with_controls else ({}, ())
    beside = {name: case for name, case in beside.items() if name not in cases}
    checked, failed = _check_controls(beside)
    models |= checked
    everyone = {**cases, **{name: beside[name] for name in checked}}
    rates = tuple(dict.fromkeys(sorted(first.learning_rates if rates is None else rates)))
    kind = _common_kind(everyone, models)
    split = split_train(first)
    guess = chance_loss(first, reference, split.train)
    return Trial(
        cases=everyone,
        roles=_roles(cases, checked),
        own_rates={name: _own_rate(everyone[name], model) for name, model in models.items()},
        rates=rates,
        job=Job(cases=everyone, kind=kind, split=split, chance_loss=guess),
        chance=chance_metric(kind, first.test, guess),
        missing=(*missing, *failed),
        settings=settings_of(everyone, models, rates)
        | ({} if budget == "epochs" else {"budget": f"the same {budget} for all"}),
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
                "cases the same metric.",
                page=_PAGE,
            )
    return kind


def _own_rate(case: Case, model: nn.Module) -> float | None:
    rates = {group["lr"] for group in case.make_optimizer(model.parameters()).param_groups}
    return float(rates.pop()) if len(rates) == 1 else None
