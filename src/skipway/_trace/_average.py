"""Several measured passes as one: gradients are averaged, numbers of layers are medians."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from torch import Tensor

from ._probe import Probe, UnitProbe


def average(passes: Iterable[Probe]) -> Probe:
    """Return one probe for passes of the same model on several batches.

    The loss and the gradients of the parameters are means, as when gradients are accumulated. Of
    a layer's numbers the median over the batches counts, elasticities relative to the loss of
    their own batch; only a unit that is silent in every batch can be dead, so of these shares the
    lowest counts. What broke in any batch is broken.

    Args:
        passes: one probe or more; each is let go before the next is asked for.
    """
    total: dict[str, Tensor | None] = {}
    first, *rest = _without_gradients(passes, total)
    every = [first, *rest]
    loss = statistics.fmean(each.loss for each in every)
    if len(every) == 1:
        return replace(first, gradients=total)
    gradients = {name: None if g is None else g / len(every) for name, g in total.items()}
    level = [abs(loss / each.loss) if loss and each.loss else 1.0 for each in every]
    units = {
        name: _unit([(each.units[name], by) for each, by in zip(every, level, strict=True)])
        for name in first.units
        if all(name in each.units for each in every)
    }
    for name, unit in first.units.items():
        units.setdefault(name, unit)  # a layer that only some batches pass through
    alike = [each for each in every if len(each.graph.nodes) == len(first.graph.nodes)]
    return replace(
        first,
        loss=loss,
        connected=all(each.connected for each in every),
        gradients=gradients,
        units=units,
        non_finite=next((e.non_finite for e in every if e.non_finite is not None), None),
        cut=next((each.cut for each in every if each.cut is not None), None),
        outputs_at=_medians([each.outputs_at for each in alike]),
        gradients_at=_medians([each.gradients_at for each in alike]),
    )


def _without_gradients(passes: Iterable[Probe], total: dict[str, Tensor | None]) -> list[Probe]:
    """Sum the gradients up in `total` and return the probes without them."""
    found = []
    for seen in passes:
        for name, gradient in seen.gradients.items():
            known = total.get(name)
            total[name] = gradient if known is None else _sum(known, gradient)
        found.append(replace(seen, gradients={}))
    return found


def _sum(known: Tensor, gradient: Tensor | None) -> Tensor:
    return known if gradient is None else known + gradient


def _medians(tables: Sequence[dict[int, float]]) -> dict[int, float]:
    return {
        index: statistics.median(table[index] for table in tables)
        for index in tables[0]
        if all(index in table for table in tables)
    }


def _unit(every: Sequence[tuple[UnitProbe, float]]) -> UnitProbe:
    probes = [unit for unit, _ in every]

    def middle(read: Callable[[UnitProbe], float | None]) -> float | None:
        known = [value for unit in probes if (value := read(unit)) is not None]
        return statistics.median(known) if known else None

    alive = [unit.alive * by for unit, by in every]
    skips = [unit.with_skip * by for unit, by in every if unit.with_skip is not None]
    silent = [unit.silent for unit in probes if unit.silent is not None]
    return replace(
        probes[0],
        output=statistics.median(unit.output for unit in probes),
        gradient=statistics.median(unit.gradient * by for unit, by in every),
        alive=statistics.median(alive),
        rms=statistics.median(unit.rms for unit in probes),
        reached=any(unit.reached for unit in probes),
        reads_nothing=all(unit.reads_nothing for unit in probes),
        signal=middle(lambda unit: unit.signal),
        input_signal=middle(lambda unit: unit.input_signal),
        silent=min(silent, default=None),
        saturated=middle(lambda unit: unit.saturated),
        via_skip=middle(lambda unit: unit.via_skip),
        via_branch=middle(lambda unit: unit.via_branch),
        with_skip=statistics.median(skips) if skips else None,
        around=middle(lambda unit: unit.around),
        spread=_decades_between(alive),
    )


def _decades_between(values: Sequence[float]) -> float:
    low, high = min(values), max(values)
    if low == high:
        return 0.0
    return math.log10(high / low) if low > 0 and math.isfinite(high) else math.inf
