"""Did it help: one row a variant, every seed on one axis, intervals under their difference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from . import _metric
from ._axis import round_ends
from ._training import ROLES
from ._values import NONE, Data, median, named, plainly, quantity, real, reals, sentence, short


@dataclass(frozen=True)
class Strip:
    """Every seed's result on an axis from 0 to 100."""

    seeds: Sequence[float]
    middle: float | None
    chance: float | None
    linear: float | None


@dataclass(frozen=True)
class Line:
    """One variant."""

    name: str
    detail: str
    role: str
    middle: str
    spread: str
    strip: Strip
    against: tuple[str, str]
    against_linear: tuple[str, str]
    rate: str
    stalled: str
    failed: str
    step: str
    parameters: str


@dataclass(frozen=True)
class Table:
    """The comparison."""

    metric: str
    reference: str
    points: str
    confidence: str
    seeds: int
    lines: Sequence[Line]
    ticks: Sequence[tuple[str, float]]
    linear: bool
    freedom: int
    failures: int
    tried: Sequence[tuple[str, Sequence[tuple[str, bool]]]]
    factors: Sequence[str]


def table(comparison: Data) -> Table:
    """Lay the comparison out."""
    variants = comparison["variants"]
    low, high = _ends(comparison)
    pairs = [v["difference"] for v in variants if v["difference"]]
    confidence = float(pairs[0]["confidence"]) if pairs else 0.95
    factors = sorted({float(each[0]) for variant in variants for each in variant["tried"]})
    unit = _metric.unit(comparison)
    return Table(
        metric=sentence(_metric.name(comparison)) + (f",{unit}" if unit else ""),
        reference=comparison["reference"],
        points=_metric.points(comparison),
        confidence=f"{100 * confidence:g} %",
        seeds=int(comparison["seeds"]),
        lines=[_line(variant, comparison, low, high) for variant in variants],
        ticks=[(f"{low + part * (high - low):g}", 100 * part) for part in (0.0, 0.5, 1.0)],
        linear=any(variant["against_linear"] for variant in variants),
        freedom=max((int(pair["pairs"]) for pair in pairs), default=1) - 1,
        failures=sum(int(variant["failures"]) for variant in variants),
        tried=[_tried(variant, factors, comparison) for variant in variants],
        factors=[f"× {factor:.3g}" for factor in factors],
    )


def _ends(comparison: Data) -> tuple[float, float]:
    if comparison["metric"] == "accuracy":
        return 0.0, 100.0
    values = [value for variant in comparison["variants"] for value in finals(variant)]
    if comparison["chance"] is not None:
        chance = float(comparison["chance"])
        values = [value for value in values if value <= 3 * abs(chance)] + [chance]
    return round_ends(values)


def finals(variant: Data) -> list[float]:
    """Return the metric on the test set at the end of every run that was done."""
    done = [run for run in variant["runs"] if run["status"] == "done" and run["test"]]
    return reals([run["test"][-1] for run in done])


def _line(variant: Data, comparison: Data, low: float, high: float) -> Line:
    runs = len(variant["runs"])
    stalled, failed = int(variant["stalled"]), int(variant["failures"])
    return Line(
        name=named(variant["name"]),
        detail=variant["detail"],
        role=ROLES[variant["role"]],
        middle=_metric.bare(variant["median"], comparison),
        spread=_spread(variant, comparison),
        strip=_strip(variant, comparison, low, high),
        against=interval(variant["difference"], comparison),
        against_linear=interval(variant["against_linear"], comparison),
        rate=rate(variant),
        stalled=f"{stalled} of {runs}" if stalled else "0",
        failed=f"{failed} failed" if failed else "",
        step=short(variant["step_ms"]),
        parameters=quantity(variant["parameters"]),
    )


def _spread(variant: Data, comparison: Data) -> str:
    known = [value for value in finals(variant) if math.isfinite(value)]
    if not known:
        return "no run ended"
    ends = [_metric.bare(value, comparison) for value in (min(known), max(known))]
    return ends[0] if ends[0] == ends[1] else " – ".join(ends)


def interval(pair: Data | None, comparison: Data) -> tuple[str, str]:
    """Write a difference, and the interval that stands under it."""
    if pair is None:
        return NONE, ""
    mean, low, high = (real(pair[key]) for key in ("mean", "low", "high"))
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return _metric.difference(mean, comparison), "no interval"
    ends = [_metric.difference(end, comparison) for end in (low, high)]
    return _metric.difference(mean, comparison), " to ".join(ends)


def rate(variant: Data) -> str:
    """Write the learning rate chosen, or its factor where the rate is unknown."""
    if variant["learning_rate"] is not None:
        return plainly(variant["learning_rate"])
    return f"× {float(variant['factor']):.3g}"


def _strip(variant: Data, comparison: Data, low: float, high: float) -> Strip:
    linear = next((v for v in comparison["variants"] if v["name"] == "linear"), None)
    at = [_at(value, low, high) for value in finals(variant)]
    return Strip(
        seeds=[place for place in at if place is not None],
        middle=_at(real(variant["median"]), low, high),
        chance=_at(real(comparison["chance"]), low, high),
        linear=_at(median(finals(linear)), low, high) if linear else None,
    )


def _at(value: float | None, low: float, high: float) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    return min(100.0, max(0.0, 100 * (value - low) / (high - low)))


def _tried(
    variant: Data, factors: Sequence[float], comparison: Data
) -> tuple[str, list[tuple[str, bool]]]:
    known = {float(factor): value for factor, value in variant["tried"]}
    cells = [
        (
            _metric.bare(known[factor], comparison) if factor in known else NONE,
            factor == float(variant["factor"]),
        )
        for factor in factors
    ]
    return named(variant["name"]), cells
