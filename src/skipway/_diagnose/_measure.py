"""From raw numbers to `Facts`: one pass, one step, and what they say about every layer."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from .._results import LayerReading, State
from .._trace import Graph, Unit, read_skips
from .._trace._numbers_at import Numbers, as_real, count_of, norm
from .._trace._probe import Probe, UnitProbe
from . import _thresholds as limit
from ._branches import read_branches
from ._facts import Facts
from ._faults import Weight, with_faults
from ._starts import read_starts, skip_places
from ._step import Move


def read_layers(
    model: nn.Module,
    seen: Probe,
    moves: Mapping[str, Move] | None,
    held: set[int] | None,
    *,
    batch: int,
    chance: float | None,
    scale: float | None = None,
) -> Facts:
    """Return the facts that one pass and one step give.

    Args:
        model: that was measured.
        seen: what the pass found.
        moves: what the step did to each parameter; `None` without an optimizer.
        held: ids of the parameters that the optimizer holds; `None` without one.
        batch: how many samples.
        chance: loss of the best constant output.
        scale: what elasticities are divided by; that of this pass by default.
    """
    relative = seen.loss <= 0 or (chance is not None and chance < 0)
    scale = scale or _scale(seen, relative)
    weights = _weights(model, seen.gradients, held, moves or {})
    first_name = _first_names(model)
    elasticity = {name: unit.alive / scale for name, unit in seen.units.items()}
    highest = _highest_behind(seen.graph, elasticity)
    layers = tuple(
        _reading(unit, seen, elasticity, highest, scale, weights, moves, first_name)
        for unit in seen.graph.units
    )
    facts = Facts(
        layers=layers,
        skips=read_skips(seen.graph),
        batch=batch,
        loss=seen.loss,
        chance=chance,
        skill=_skill(seen.loss, chance, relative),
        relative=relative,
        growth=_growth(seen),
        arriving=_arriving(seen),
        scale=scale,
        dtype=_dtype(model),
        sizes=tuple(seen.units[layer.name].rms for layer in layers),
    )
    facts = replace(
        facts,
        branches=read_branches(seen, weights, first_name, scale),
        starts=read_starts(
            model, seen.graph, {name: weights[own].norm for name, own in first_name.items()}
        ),
        places=skip_places(seen.graph, layers),
        gradient=math.hypot(*(weight.gradient for weight in weights.values())),
        meant=_meant(seen.graph, weights, moves or {}, first_name),
    )
    return with_faults(facts, model, seen, weights, first_name, moves, held is not None)


def _skill(loss: float, chance: float | None, relative: bool) -> float | None:
    if relative or not chance or not math.isfinite(loss):
        return None
    return loss / chance


def _meant(
    graph: Graph,
    weights: Mapping[str, Weight],
    moves: Mapping[str, Move],
    first_name: Mapping[str, str],
) -> tuple[tuple[str, float], ...]:
    own = {unit.name: first_name[unit.parameters[0]] for unit in graph.units}
    return tuple(
        (name, moves[weight].meant / weights[weight].norm)
        for name, weight in own.items()
        if weight in moves and weights[weight].norm > 0
    )


def _scale(seen: Probe, relative: bool) -> float:
    if not relative and math.isfinite(seen.loss):
        return abs(seen.loss)
    largest = max((unit.alive for unit in seen.units.values()), default=0.0)
    return largest if 0 < largest < math.inf else 1.0


def _first_names(model: nn.Module) -> dict[str, str]:
    """Map every name of a parameter to its first one; tied parameters have several."""
    first = {id(parameter): name for name, parameter in model.named_parameters()}
    return {name: first[id(p)] for name, p in model.named_parameters(remove_duplicate=False)}


def _weights(
    model: nn.Module,
    gradients: Mapping[str, Tensor | None],
    held: set[int] | None,
    moves: Mapping[str, Move],
) -> dict[str, Weight]:
    named = dict(model.named_parameters())
    sizes = _sizes(named, gradients, moves)
    return {
        name: Weight(
            norm=sizes[name][0],
            gradient=sizes[name][1],
            with_gradient=round(sizes[name][2]),
            size=count_of(parameter),
            reached=gradients.get(name) is not None,
            requires_grad=parameter.requires_grad,
            held=held is None or id(parameter) in held,
            narrow=min(len(parameter), parameter[0].numel())
            if parameter.dim() > 1
            else parameter.numel(),
        )
        for name, parameter in named.items()
    }


def _sizes(
    named: Mapping[str, nn.Parameter],
    gradients: Mapping[str, Tensor | None],
    moves: Mapping[str, Move],
) -> dict[str, tuple[float, float, float]]:
    """Return `||W||`, `||dL/dW||` and how many have a gradient; what a step told is known."""
    numbers = Numbers()
    for index, (name, parameter) in enumerate(named.items()):
        if name in moves:
            continue
        numbers.put("norm", index, norm(parameter))
        gradient = gradients.get(name)
        if gradient is not None:
            numbers.put("gradient", index, norm(gradient))
            values = gradient.coalesce().values() if gradient.is_sparse else gradient
            numbers.put("with_gradient", index, torch.count_nonzero(as_real(values)))
    read = numbers.resolve()
    kinds = ("norm", "gradient", "with_gradient")
    found = {}
    for index, name in enumerate(named):
        move = moves.get(name)
        if move is not None:
            found[name] = move.weight, move.gradient, float(move.with_gradient)
        else:
            one, two, three = (read.get(kind, {}).get(index, 0.0) for kind in kinds)
            found[name] = one, two, three
    return found


def _reading(
    unit: Unit,
    seen: Probe,
    elasticity: Mapping[str, float],
    highest: Mapping[str, float],
    scale: float,
    weights: Mapping[str, Weight],
    moves: Mapping[str, Move] | None,
    first_name: Mapping[str, str],
) -> LayerReading:
    raw, names = seen.units[unit.name], [first_name[name] for name in unit.parameters]
    weight = weights[names[0]]
    trainable = weight.requires_grad and weight.held
    lost = _decades_lost(elasticity[unit.name], highest[unit.name], weight, raw)
    move = None if moves is None else moves.get(names[0], _still(weight))
    return LayerReading(
        name=unit.name,
        type=unit.type,
        state="broken"
        if not all(map(math.isfinite, (weight.norm, weight.gradient, raw.gradient, raw.output)))
        else _state(lost, trainable, move),
        elasticity=elasticity[unit.name],
        branch_elasticity=raw.gradient * raw.output / scale,
        weight_elasticity=weight.gradient * weight.norm / scale,
        decades_lost=lost,
        gradient=weight.gradient,
        output_gradient=raw.gradient,
        weight=weight.norm,
        weights=weight.size,
        with_gradient=weight.with_gradient,
        step=_ratio(move.step, weight.norm) if move else None,
        progress=_progress(moves, names, scale),
        moved=move.moved if move else None,
        signal=raw.signal,
        silent=raw.silent,
        saturated=raw.saturated,
        via_skip=raw.via_skip,
        via_branch=raw.via_branch,
        trainable=trainable,
        around=raw.around,
        spread=raw.spread,
        with_skip=None if raw.with_skip is None else raw.with_skip / scale,
        skip_to=raw.skip_to,
    )


def _highest_behind(graph: Graph, elasticity: Mapping[str, float]) -> dict[str, float]:
    """Return for each layer the highest elasticity from it to the loss, in one sweep back."""
    best = [0.0] * len(graph.nodes)
    found: dict[str, float] = {}
    for index in reversed(range(len(graph.nodes))):
        unit = graph.unit_at(index)
        if unit is not None:
            best[index] = found[unit.name] = max(best[index], elasticity[unit.name])
        for source in graph.sources[index]:
            best[source] = max(best[source], best[index])
    return found


def _decades_lost(own: float, highest: float, weight: Weight, raw: UnitProbe) -> float:
    if not raw.reached and not weight.requires_grad:
        return 0.0  # nothing before it learns, so no gradient was sent here
    if raw.output == 0 and raw.gradient > 0 and own == 0:
        return 0.0  # it starts at zero: no signal yet to be sensitive to, but a gradient arrives
    if not math.isfinite(highest) or not math.isfinite(own):
        return 0.0
    if own == 0:
        return math.inf if highest > 0 else 0.0
    return math.log10(highest / own)


def _state(lost: float, trainable: bool, move: Move | None) -> State:
    if not trainable or (move is not None and move.with_gradient and not move.moved):
        return "still"
    if lost > limit.DYING:
        return "dying"
    return "fading" if lost > limit.FADING else "arrives"


def _still(weight: Weight) -> Move:
    own = weight.size, weight.norm, weight.gradient, weight.with_gradient
    return Move(*own, 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _progress(moves: Mapping[str, Move] | None, names: Sequence[str], scale: float) -> float | None:
    if moves is None:
        return None
    return sum(moves[name].progress for name in dict.fromkeys(names) if name in moves) / scale


def _growth(seen: Probe) -> float:
    sizes = [unit.rms for unit in seen.units.values() if unit.rms > 0]
    return sizes[-1] / sizes[0] if sizes else 1.0


def _arriving(seen: Probe) -> float | None:
    units = list(seen.units.values())
    return units[-1].input_signal if len(units) > 1 else None


def _dtype(model: nn.Module) -> str:
    sizes: Counter[torch.dtype] = Counter()
    for parameter in model.parameters():
        sizes[parameter.dtype] += parameter.numel()
    return str(sizes.most_common(1)[0][0]).removeprefix("torch.")
