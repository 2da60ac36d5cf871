"""From finished runs to variants: the rate chosen, the spread, the paired differences."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from .._results import Answer, Evidence, Interval, Run, Variant
from ._cells import Cell
from ._statistics import answer, choose_rate, evidence, holm, p_value, paired

Role = Literal["reference", "treated", "control"]


@dataclass(frozen=True)
class Table:
    """All runs of a comparison, and how a run that broke down counts.

    Attributes:
        runs: of every cell.
        seeds: how many.
        rates: factors of the learning rate.
        higher_is_better: for the metric.
        chance: the metric of guessing; `None` where unknown.
    """

    runs: Mapping[Cell, Run]
    seeds: int
    rates: tuple[float, ...]
    higher_is_better: bool
    chance: float | None

    def of(self, name: str, factor: float) -> tuple[Run, ...]:
        """Return the runs of a variant at one rate, by seed."""
        return tuple(self.runs[Cell(name, seed, factor)] for seed in range(self.seeds))

    def validation(self, run: Run) -> float:
        """Return the last validation metric, or what a broken run counts as."""
        return self._value(run, run.validation)

    def test(self, run: Run) -> float:
        """Return the last test metric, or what a broken run counts as."""
        return self._value(run, run.test)

    def outcomes(self, variant: Variant) -> list[float]:
        """Return one number a seed, broken runs included."""
        return [self.test(run) for run in variant.runs]

    def _value(self, run: Run, values: Sequence[float]) -> float:
        if run.status == "done" and math.isfinite(values[-1]):
            return values[-1]
        return self._worst()

    def _worst(self) -> float:
        # A broken run is an outcome and stays in: it counts as guessing, or as the worst that
        # any other run came to, so that breaking down is never the better choice.
        ends = [
            end
            for run in self.runs.values()
            if run.status == "done"
            for end in (run.validation[-1], run.test[-1])
        ]
        known = [end for end in (*ends, self.chance) if end is not None and math.isfinite(end)]
        return (min if self.higher_is_better else max)(known, default=0.0)


def variants_of(
    table: Table,
    roles: Mapping[str, Role],
    details: Mapping[str, str],
    own_rates: Mapping[str, float | None],
) -> tuple[Variant, ...]:
    """Return every variant at its best rate, with its differences.

    Args:
        table: the finished runs.
        roles: of every variant, in the order wanted, the reference first.
        details: what a variant is, in words.
        own_rates: the learning rate of each variant's own optimizer, where it can be known.
    """
    tried = {name: _tried(table, name) for name in roles}
    factors = {
        name: choose_rate(values, higher_is_better=table.higher_is_better)
        for name, values in tried.items()
    }
    ends = {name: [table.test(run) for run in table.of(name, factors[name])] for name in roles}
    reference = next(iter(roles))
    found = _evidence(ends, roles, reference)
    return tuple(
        _variant(
            name,
            role,
            details.get(name, ""),
            tried[name],
            factors[name],
            own_rates[name],
            table.of(name, factors[name]),
            difference=None if name == reference else _gap(table, ends, name, reference),
            against_linear=None if name == "linear" else _gap(table, ends, name, "linear"),
            found=found.get(name),
            higher_is_better=table.higher_is_better,
        )
        for name, role in roles.items()
    )


def best_treated(table: Table, variants: Sequence[Variant]) -> Variant | None:
    """Return the treated variant with the best median, broken runs included.

    One that is shown to help goes before one that may owe its median to chance.
    """
    treated = [variant for variant in variants if variant.role == "treated"]
    sign = 1 if table.higher_is_better else -1

    def rank(variant: Variant) -> tuple[bool, float]:
        return variant.answer == "helped", sign * statistics.median(table.outcomes(variant))

    return max(treated, key=rank, default=None)


def _tried(table: Table, name: str) -> dict[float, list[float]]:
    return {rate: [table.validation(run) for run in table.of(name, rate)] for rate in table.rates}


def _evidence(
    ends: Mapping[str, Sequence[float]], roles: Mapping[str, Role], reference: str
) -> dict[str, Evidence]:
    """Return the evidence for all but the reference.

    Only the treated variants are corrected for each other: the controls are no attempts at a cure.
    """
    p = {
        name: p_value([a - b for a, b in zip(ends[name], ends[reference], strict=True)])
        for name, role in roles.items()
        if role == "treated"
    }
    corrected = holm(p)
    return {
        name: evidence(ends[name], ends[reference], corrected_p=corrected.get(name))
        for name in roles
        if name != reference
    }


def _gap(
    table: Table, ends: Mapping[str, Sequence[float]], name: str, other: str
) -> Interval | None:
    if other not in ends:
        return None
    return paired(ends[name], ends[other], higher_is_better=table.higher_is_better)


def _variant(
    name: str,
    role: Role,
    detail: str,
    tried: Mapping[float, Sequence[float]],
    factor: float,
    own_rate: float | None,
    runs: tuple[Run, ...],
    *,
    difference: Interval | None,
    against_linear: Interval | None,
    found: Evidence | None,
    higher_is_better: bool,
) -> Variant:
    done = [run.test[-1] for run in runs if run.status == "done"] or [math.nan]
    said: Answer | None = None
    if difference is not None and found is not None:
        said = answer(difference, higher_is_better=higher_is_better, corrected_p=found.corrected_p)
    return Variant(
        name=name,
        detail=detail,
        role=role,
        learning_rate=None if own_rate is None else own_rate * factor,
        factor=factor,
        tried=tuple((rate, statistics.fmean(values)) for rate, values in tried.items()),
        runs=runs,
        median=statistics.median(done),
        mean=statistics.fmean(done),
        low=min(done),
        high=max(done),
        difference=difference,
        against_linear=against_linear,
        failures=sum(run.status != "done" for run in runs),
        stalled=sum(run.stalled for run in runs),
        step_ms=statistics.median(run.step_ms for run in runs),
        parameters=max(run.parameters for run in runs),
        answer=said,
        evidence=found,
    )
