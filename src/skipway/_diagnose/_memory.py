"""How long an optimizer remembers gradients: steps shorter than that do not show what it does."""

from __future__ import annotations

from torch.optim import Optimizer


def memory_of(optimizer: Optimizer | None) -> float:
    """Return over how many steps the optimizer's mean of the gradients goes, 1 for none."""
    groups = [] if optimizer is None else optimizer.param_groups
    shares = [group.get("momentum", group.get("betas", (0.0,))[0]) for group in groups]
    return max((1 / (1 - float(share)) for share in shares if 0 < float(share) < 1), default=1.0)


def growing(optimizer: Optimizer) -> float:
    """Return how many times larger steps along one gradient get until momentum has built up."""
    group = optimizer.param_groups[0]
    momentum = float(group.get("momentum", 0.0))
    begun = any(state.get("momentum_buffer") is not None for state in optimizer.state.values())
    if begun or not 0 < momentum < 1:
        return 1.0
    return max(1.0, (1 - float(group.get("dampening", 0.0))) / (1 - momentum))
