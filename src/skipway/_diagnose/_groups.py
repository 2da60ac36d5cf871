"""What the groups of an optimizer say: which parameters it holds, at which rates."""

from __future__ import annotations

from torch import nn
from torch.optim import Optimizer

from . import _thresholds as limit
from ._facts import Facts


def held(optimizer: Optimizer) -> set[int]:
    """Return the identities of the parameters that it steps."""
    return {id(p) for group in optimizer.param_groups for p in group["params"]}


def exchanged(facts: Facts, model: nn.Module, optimizer: Optimizer | None) -> bool:
    """Tell whether what is not held has a double, of the same shape, that no module owns."""
    groups = [] if optimizer is None else optimizer.param_groups
    own = {id(p) for p in model.parameters()}
    others = {tuple(p.shape) for group in groups for p in group["params"] if id(p) not in own}
    known = dict(model.named_parameters())
    missed = [known.get(f"{name.partition('#')[0]}.weight") for name in facts.unheld]
    return bool(missed) and all(p is not None and tuple(p.shape) in others for p in missed)


def learning_rate(optimizer: Optimizer | None) -> float | None:
    """Return the rate of the first group, NaN where it has none."""
    return None if optimizer is None else float(optimizer.param_groups[0].get("lr", float("nan")))


def _rates(optimizer: Optimizer | None) -> dict[int, float]:
    groups = [] if optimizer is None else optimizer.param_groups
    return {id(p): float(each.get("lr", 0.0)) for each in groups for p in each["params"]}


def slow(facts: Facts, model: nn.Module, optimizer: Optimizer | None) -> tuple[str, ...]:
    """Return the layers whose rate is next to nothing beside the largest."""
    own_rates = _rates(optimizer)
    least = limit.SLOW_GROUP * max(own_rates.values(), default=0.0)
    own = {
        n: own_rates[id(p)]
        for n, p in model.named_parameters()
        if p.requires_grad and id(p) in own_rates
    }
    names = {layer.name: layer.name.partition("#")[0] + ".weight" for layer in facts.layers}
    return tuple(layer for layer, name in names.items() if own.get(name, least) < least)


def stopped(optimizer: Optimizer | None) -> bool:
    """Tell whether every rate is zero."""
    own_rates = _rates(optimizer)
    return bool(own_rates) and not any(own_rates.values())


def decay(optimizer: Optimizer | None) -> float:
    """Return the largest weight decay."""
    groups = [] if optimizer is None else optimizer.param_groups
    return max((float(group.get("weight_decay", 0.0)) for group in groups), default=0.0)
