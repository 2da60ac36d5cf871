"""What the groups of an optimizer say: which parameters it holds, at which rates."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor, nn

from . import _thresholds as limit
from ._facts import Facts
from ._together import Together


def held(optimizer: Together) -> set[int]:
    """Return the identities of the parameters that it steps."""
    return {id(p) for group in optimizer.param_groups for p in group["params"]}


def exchanged(facts: Facts, model: nn.Module, optimizer: Together | None) -> bool:
    """Tell whether what is not held has a double, of the same shape, that no module owns."""
    groups = [] if optimizer is None else optimizer.param_groups
    own = {id(p) for p in model.parameters()}
    others = {tuple(p.shape) for group in groups for p in group["params"] if id(p) not in own}
    known = dict(model.named_parameters())
    missed = [known.get(f"{name.partition('#')[0]}.weight") for name in facts.unheld]
    return bool(missed) and all(p is not None and tuple(p.shape) in others for p in missed)


def _rates(optimizer: Together | None) -> dict[int, float]:
    groups = [] if optimizer is None else optimizer.param_groups
    return {id(p): float(each.get("lr", 0.0)) for each in groups for p in each["params"]}


def _largest(optimizer: Together) -> dict[type, float]:
    """Return the largest rate of every class; those of Muon and of Adam are in different units."""
    known: dict[type, float] = {}
    for each in optimizer.each:
        own = [float(group.get("lr", 0.0)) for group in each.param_groups]
        known[type(each)] = max(known.get(type(each), 0.0), *own)
    return known


def _paces(facts: Facts, model: nn.Module, optimizer: Together) -> dict[type, float]:
    """Return how far each class moves a layer at most, over the size of what it moves there."""
    weights = {name: id(p) for name, p in model.named_parameters(remove_duplicate=False)}
    meant, part, found = dict(facts.meant), optimizer.part, dict.fromkeys(_largest(optimizer), 0.0)
    for layer in facts.layers:
        at = part.get(weights.get(f"{layer.name.partition('#')[0]}.weight", 0))
        if at is None or not layer.with_gradient or layer.name not in meant:
            continue
        pace = meant[layer.name] * math.sqrt(layer.weights / layer.with_gradient)
        kind = type(optimizer.each[at])
        found[kind] = max(found[kind], pace)
    return found


def fair_rates(facts: Facts, model: nn.Module, optimizer: Together) -> tuple[float, ...]:
    """Return for each optimizer the rate beside which no part of the network stands still.

    It is the largest of its class. A class at zero gets that of the others, and one that moves
    next to nothing beside another as much more as it takes to move as far.
    """
    largest, paces = _largest(optimizer), _paces(facts, model, optimizer)
    highest, most = max(largest.values()), max(paces.values())
    fair = {
        kind: rate * most / paces[kind] if 0 < paces[kind] < limit.SLOW_GROUP * most else rate
        for kind, rate in largest.items()
    }
    return tuple(fair[type(each)] or highest for each in optimizer.each)


def slow(facts: Facts, model: nn.Module, optimizer: Together | None) -> tuple[str, ...]:
    """Return the layers that learn at next to no rate beside the others."""
    if optimizer is None:
        return ()
    fair, part, own_rates = fair_rates(facts, model, optimizer), optimizer.part, _rates(optimizer)
    slowed = {
        name
        for name, p in model.named_parameters()
        if p.requires_grad
        and id(p) in own_rates
        and own_rates[id(p)] < limit.SLOW_GROUP * fair[part[id(p)]]
    }
    names = {layer.name: layer.name.partition("#")[0] + ".weight" for layer in facts.layers}
    return tuple(layer for layer, name in names.items() if name in slowed)


def stopped(optimizer: Together | None) -> bool:
    """Tell whether every rate is zero."""
    own_rates = _rates(optimizer)
    return bool(own_rates) and not any(own_rates.values())


def decay(optimizer: Together | None) -> float:
    """Return the largest weight decay."""
    groups = [] if optimizer is None else optimizer.param_groups
    return max((float(group.get("weight_decay", 0.0)) for group in groups), default=0.0)


def unreached(
    model: nn.Module, optimizer: Together, gradients: Mapping[str, Tensor | None]
) -> list[str]:
    """Say of each of several optimizers whether this loss has a gradient for what it holds."""
    reached = {id(p) for name, p in model.named_parameters() if gradients.get(name) is not None}
    if len(optimizer.each) < 2 or not reached:
        return []
    part = optimizer.part
    busy = {part[key] for key in reached if key in part}
    return [
        f"No parameter that {label} holds gets a gradient from this loss. If it follows a loss of "
        "its own, diagnose that loss with it alone, and this one without it."
        for at, label in enumerate(optimizer.labels)
        if at not in busy
    ]
