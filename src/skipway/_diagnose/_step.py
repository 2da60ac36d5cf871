"""The real step of the optimizer, taken on a copy, and what it did to every weight."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from .._trace._numbers_at import Numbers, norm, wide
from ._facts import Stepped

_RESCALING = (
    torch.optim.Adam,
    torch.optim.Adamax,
    torch.optim.NAdam,
    torch.optim.RAdam,
    torch.optim.RMSprop,
    torch.optim.Adagrad,
    torch.optim.Adadelta,
)


@dataclass(frozen=True)
class Move:
    """What the step did to one parameter.

    Attributes:
        size: how many numbers it holds.
        with_gradient: how many have a gradient that is not zero.
        moved: how many of those changed.
        changed: how many changed at all.
        step: `||dW||`.
        progress: `-<dL/dW, dW>`, not yet divided by the loss.
        planned: the same of the step as it would be in float64.
        decay: size of weight decay's part of that step; where the optimizer rescales what it
            is given (Adam), of what it is given.
        plain: size of the rest.
    """

    size: int
    with_gradient: int
    moved: int
    changed: int
    step: float
    progress: float
    planned: float
    decay: float
    plain: float


Gradients = Mapping[str, Tensor | None]


def take_step(
    model: nn.Module, optimizer: Optimizer, gradients: Gradients
) -> tuple[dict[str, Move], float | None]:
    """Step a copy of the optimizer and return, by parameter, what happened, and Adam's share.

    The caller's weights, optimizer and its hooks are left alone.
    """
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    before = {name: p for name, p in model.named_parameters() if id(p) in held}
    real, used = _step_on_copy(before, optimizer, gradients)
    exact, _ = _step_on_copy(before, optimizer, gradients, exact=True)
    decays = any(group.get("weight_decay", 0) for group in optimizer.param_groups)
    bare = (
        _step_on_copy(before, optimizer, gradients, exact=True, decay=False)[0] if decays else exact
    )
    added = _added_decay(optimizer)
    numbers = Numbers()
    for index, (name, weight) in enumerate(before.items()):
        _compare(numbers, index, weight, gradients.get(name), (real[name], exact[name], bare[name]))
        if id(weight) in added:
            _compare_decay(numbers, index, weight, gradients.get(name), added[id(weight)])
    _measure_epsilon(numbers, used)
    read = numbers.resolve()
    moves = {name: _move(read, i, p.numel()) for i, (name, p) in enumerate(before.items())}
    small, all_of = read.get("small", {}), read.get("of", {})
    return moves, sum(small.values()) / sum(all_of.values()) if all_of else None


def summed(moves: Mapping[str, Move], epsilon: float | None, scale: float) -> Stepped:
    """Sum over the whole network; `scale` is the loss that progress is a fraction of."""
    with_gradient = sum(move.with_gradient for move in moves.values())
    moved = sum(move.moved for move in moves.values())
    decay = math.hypot(*(move.decay for move in moves.values()))
    plain = math.hypot(*(move.plain for move in moves.values()))
    return Stepped(
        progress=sum(move.progress for move in moves.values()) / scale,
        planned=sum(move.planned for move in moves.values()) / scale,
        lost=1 - moved / with_gradient if with_gradient else 0.0,
        decay=decay / plain if plain else (math.inf if decay else 0.0),
        epsilon=epsilon,
    )


def copy_optimizer(optimizer: Optimizer, clones: Mapping[int, nn.Parameter]) -> Optimizer:
    """Return a copy that holds `clones` (by the id of the original) and runs no step hooks."""
    memo: dict[int, object] = dict(clones)
    # Optimizer pickles and copies its defaults, state and groups; hooks stay behind.
    return copy.deepcopy(optimizer, memo)


def _step_on_copy(
    before: Mapping[str, nn.Parameter],
    optimizer: Optimizer,
    gradients: Gradients,
    *,
    exact: bool = False,
    decay: bool = True,
) -> tuple[dict[str, nn.Parameter], Optimizer]:
    after: dict[str, nn.Parameter] = {}
    for name, weight in before.items():
        dtype = wide(weight) if exact and weight.is_floating_point() else weight.dtype
        after[name] = nn.Parameter(weight.detach().to(dtype, copy=True), weight.requires_grad)
        gradient = gradients.get(name)
        after[name].grad = None if gradient is None else gradient.detach().to(dtype, copy=True)
    twin = copy_optimizer(optimizer, {id(before[name]): after[name] for name in before})
    if exact:
        _widen_state(twin)
    if not decay:
        for group in twin.param_groups:
            group["weight_decay"] = 0
    twin.step()
    return after, twin


def _widen_state(optimizer: Optimizer) -> None:
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape and value.dim():
                state[key] = value.to(parameter.dtype)


def _compare(
    numbers: Numbers,
    index: int,
    weight: Tensor,
    gradient: Tensor | None,
    after: tuple[Tensor, Tensor, Tensor],
) -> None:
    kind = wide(weight)
    old = weight.detach().to(kind)
    real, exact, bare = (each.detach().to(kind) - old for each in after)
    changed = after[0].detach() != weight.detach()
    slope = torch.zeros_like(old) if gradient is None else _dense(gradient).to(kind)
    numbers.put("with_gradient", index, (slope != 0).sum())
    numbers.put("moved", index, (changed & (slope != 0)).sum())
    numbers.put("changed", index, changed.sum())
    numbers.put("step", index, norm(real))
    numbers.put("progress", index, -(slope * real).sum())
    numbers.put("planned", index, -(slope * exact).sum())
    numbers.put("decay", index, norm(exact - bare))
    numbers.put("plain", index, norm(bare))


def _added_decay(optimizer: Optimizer) -> dict[int, float]:
    """Return, by id of the parameter, the decay that is added to a gradient before it is rescaled.

    Adam and its like bring every step to one size, so that the step itself does not show how much
    of its direction is decay's; what goes into it does.
    """
    own = isinstance(optimizer, _RESCALING) and not isinstance(optimizer, torch.optim.AdamW)
    return {
        id(parameter): float(group["weight_decay"])
        for group in optimizer.param_groups
        if own and group.get("weight_decay") and not group.get("decoupled_weight_decay")
        for parameter in group["params"]
    }


def _compare_decay(
    numbers: Numbers, index: int, weight: Tensor, gradient: Tensor | None, decay: float
) -> None:
    slope = torch.zeros_like(weight) if gradient is None else _dense(gradient)
    numbers.put("decay", index, decay * norm(weight))
    numbers.put("plain", index, norm(slope))


def _dense(gradient: Tensor) -> Tensor:
    gradient = gradient.detach()
    return gradient.to_dense() if gradient.is_sparse else gradient


def _move(read: Mapping[str, Mapping[int, float]], index: int, size: int) -> Move:
    return Move(
        size=size,
        with_gradient=round(read["with_gradient"][index]),
        moved=round(read["moved"][index]),
        changed=round(read["changed"][index]),
        step=read["step"][index],
        progress=read["progress"][index],
        planned=read["planned"][index],
        decay=read["decay"][index],
        plain=read["plain"][index],
    )


def _measure_epsilon(numbers: Numbers, optimizer: Optimizer) -> None:
    index = 0
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            state = optimizer.state.get(parameter, {})
            if "exp_avg_sq" not in state or parameter.grad is None or "eps" not in group:
                continue
            beta = float(group["betas"][1])
            mean = state["exp_avg_sq"] / (1 - beta ** float(state["step"]))
            numbers.put("small", index, (mean.sqrt() < group["eps"]).sum())
            numbers.put("of", index, torch.full((), float(mean.numel()), device=mean.device))
            index += 1
