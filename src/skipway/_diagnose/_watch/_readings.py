"""The layers of a watched training in numbers: as they are now, and over the steps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ..._results import LayerReading, State, Watching
from .. import _thresholds as limit
from ._history import ByLayer, History, Known, Numbers
from ._setting import Setting
from ._spells import Spell
from ._words import event


def readings(history: History, setting: Setting) -> tuple[LayerReading, ...]:
    """Return every layer as it is now, in execution order."""
    now, scale = history.now(), _scales(history)
    profile = history.profile(setting.order)
    at_output: Mapping[int, tuple[float, float]] = {}
    if profile is not None:
        elasticity, lost, places, _ = profile
        rows = zip(places.tolist(), elasticity.tolist(), lost.tolist(), strict=True)
        at_output = {place: (own, gone) for place, own, gone in rows}
    return tuple(
        _reading(history, setting, now, float(scale[place]), place, at_output.get(place))
        for place in history.ordered(setting.order)
        if now.looked[place] or not setting.learns[place]
    )


def _scales(history: History) -> Numbers:
    """Return what each layer's numbers are fractions of: its loss, if that has a meaning."""
    now = history.now()
    largest = float(np.nanmax(now.gradient * now.weight, initial=0.0)) or 1.0
    return np.where(np.isfinite(now.loss) & (now.loss > 0), now.loss, largest)


def _reading(
    history: History,
    setting: Setting,
    now: ByLayer,
    scale: float,
    place: int,
    at_output: tuple[float, float] | None,
) -> LayerReading:
    name = history.names[place]
    known, arrived = now.looked[place], now.reached[place]
    weight, gradient = _known(now.weight[place], known), _known(now.gradient[place], arrived)
    own = gradient * weight / scale
    elasticity, lost = at_output or (own, 0.0)
    with_gradient = round(_plain(now.with_gradient[place]))
    lost_updates = round(_plain(now.lost[place]))
    passed = history.passed.get(name)
    learns = setting.learns[place]
    step = _known(now.step[place], known)
    numbers = [weight, gradient, step, *((passed.gradient, passed.output) if passed else ())]
    broken = not all(map(math.isfinite, numbers))
    return LayerReading(
        name=name,
        type=setting.types[place],
        state="broken" if broken else _state(lost, learns, gradient > 0 and step == 0),
        elasticity=elasticity,
        branch_elasticity=elasticity,
        weight_elasticity=own,
        decades_lost=lost,
        gradient=gradient,
        output_gradient=passed.gradient if passed else 0.0,
        weight=weight,
        weights=setting.sizes[place],
        with_gradient=with_gradient,
        step=step / weight if learns and weight else None,
        progress=_known(now.progress[place], known) / scale if learns else None,
        # What was counted last is of an earlier look, and NaN moves nowhere.
        moved=with_gradient - lost_updates if learns and not broken else None,
        signal=passed.signal if passed else None,
        trainable=learns,
    )


def _known(value: float, known: bool) -> float:
    """Return a number as it is, NaN too; 0 where there is none."""
    return float(value) if known else 0.0


def _plain(value: float) -> float:
    return 0.0 if math.isnan(value) else float(value)


def _state(lost: float, learns: bool, stopped: bool) -> State:
    if not learns or stopped:
        return "still"
    if lost > limit.DYING:
        return "dying"
    return "fading" if lost > limit.FADING else "arrives"


def watching(history: History, spells: Sequence[Spell], setting: Setting) -> Watching:
    """Return the numbers over the steps, and what began."""
    order = history.ordered(setting.order)
    losses = [step.loss for step in history.steps]
    by_step = [history.of(step) for step in history.steps]
    weights = [_divided(layers.gradient * layers.weight, layers.loss) for layers in by_step]
    return Watching(
        steps=tuple(step.number for step in history.steps),
        layers=tuple(history.names[place] for place in order),
        elasticity=_outputs(history, order),
        weight_elasticity=_table(weights, order, [layers.reached for layers in by_step]),
        update=_table([_ratio(layers.step, layers.weight) for layers in by_step], order),
        lost=_table([_ratio(layers.lost, layers.with_gradient) for layers in by_step], order),
        epsilon=_table([_ratio(layers.epsilon, layers.with_gradient) for layers in by_step], order),
        loss=tuple(losses),
        progress=tuple(history.shares),
        rate=tuple(step.rate for step in history.steps),
        events=tuple(event(s, history.names) for s in sorted(spells, key=lambda s: s.step)),
        every=setting.every,
    )


def _divided(values: Numbers, loss: Numbers) -> Numbers:
    # The largest of the step stands in for a loss that is not known or has no meaning.
    top = float(np.nanmax(values, initial=0.0)) or 1.0
    return values / np.where(loss > 0, loss, top)


def _ratio(part: Numbers, whole: Numbers) -> Numbers:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(whole > 0, part / whole, math.nan)


def _outputs(history: History, order: Sequence[int]) -> tuple[tuple[float | None, ...], ...]:
    columns = []
    for step in history.steps:
        column, losses = np.full(len(history.names), math.nan), history.of(step).loss
        for name, passed in (step.passed or {}).items():
            place = history.names.index(name)
            if losses[place] > 0:
                column[place] = passed.output * passed.gradient / losses[place]
        columns.append(column)
    return _table(columns, order)


def _table(
    columns: Sequence[Numbers], order: Sequence[int], known: Sequence[Known] | None = None
) -> tuple[tuple[float | None, ...], ...]:
    if not columns:
        return tuple(() for _ in order)
    rows = np.stack(columns, 1)[list(order)]
    gone = np.isnan(rows)
    if known is not None:  # where something was looked at, NaN is what was seen
        gone &= ~np.stack(known, 1)[list(order)]
    return tuple(
        tuple(None if missing else value for value, missing in zip(*both, strict=True))
        for both in zip(rows.tolist(), gone.tolist(), strict=True)
    )
