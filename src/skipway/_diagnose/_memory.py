"""How long an optimizer remembers gradients: steps shorter than that do not show what it does."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from ._together import Together

# Steps of one size, whatever momentum makes of the direction (Jordan et al. 2024, "Muon").
_OF_ONE_SIZE = tuple(
    each for each in [getattr(torch.optim, "Muon", None)] if each is not None
)  # torch 2.9 and later


def memory_of(optimizer: Together | None) -> float:
    """Return over how many steps the optimizer's mean of the gradients goes, 1 for none."""
    groups = [] if optimizer is None else optimizer.param_groups
    shares = [group.get("momentum", group.get("betas", (0.0,))[0]) for group in groups]
    return max((1 / (1 - float(share)) for share in shares if 0 < float(share) < 1), default=1.0)


def growth(optimizer: Together) -> dict[int, float]:
    """Return how many times larger steps along one gradient get until momentum has built up.

    By the id of the parameter.
    """
    return {
        id(parameter): factor
        for each in optimizer.each
        for group in each.param_groups
        for factor in [_growing(each, group)]
        for parameter in group["params"]
    }


def _growing(optimizer: Optimizer, group: dict[str, Any]) -> float:
    momentum = float(group.get("momentum", 0.0))
    if not 0 < momentum < 1 or isinstance(optimizer, _OF_ONE_SIZE):
        return 1.0
    if any(_has_begun(optimizer.state, parameter) for parameter in group["params"]):
        return 1.0
    return max(1.0, (1 - float(group.get("dampening", 0.0))) / (1 - momentum))


def _has_begun(state: dict[Tensor, Any], parameter: Tensor) -> bool:
    return parameter in state and state[parameter].get("momentum_buffer") is not None
