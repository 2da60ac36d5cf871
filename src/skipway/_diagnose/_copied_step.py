"""A step of an optimizer on copies: the weights, the state and the hooks stay as they are."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from .._trace._numbers_at import wide
from ._closure import Asked
from ._together import Together

Gradients = Mapping[str, Tensor | None]
_READING = (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW)


def copy_optimizer(
    optimizer: Together, clones: Mapping[int, nn.Parameter], idle: Collection[int] = ()
) -> Together:
    """Return a copy that holds `clones` (by the id of the original) and runs no step hooks.

    The state of `idle` parameters (by id), which are not stepped, is not copied with it.
    """
    return Together([_copied(each, clones, idle) for each in optimizer.each], optimizer.asking)


def _copied(
    optimizer: Optimizer, clones: Mapping[int, nn.Parameter], idle: Collection[int]
) -> Optimizer:
    memo: dict[int, object] = dict(clones)
    for parameter, state in optimizer.state.items():
        if id(parameter) in idle:
            memo.update((id(each), each) for each in state.values() if isinstance(each, Tensor))
    # Optimizer pickles and copies its defaults, state and groups; hooks stay behind.
    twin = copy.deepcopy(optimizer, memo)
    for name, value in vars(optimizer).items():
        # What a class of the caller's keeps beside these, its own step may need. A scheduler puts
        # a step that counts the original's in the place of the class's.
        own = not name.startswith("_") or _is_plain(value)
        if name not in vars(twin) and own and name != "step":
            setattr(twin, name, copy.deepcopy(value, memo))
    return twin


def _is_plain(value: object) -> bool:
    """Tell whether it is made of tensors and numbers, as LBFGS's private list of parameters is."""
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (Tensor, int, float, str))


def exact_step(
    before: Mapping[str, nn.Parameter],
    optimizer: Together,
    gradients: Gradients,
    names: list[str],
    *,
    decay: bool = True,
) -> Mapping[str, nn.Parameter]:
    """Return the parameters of these names after a step that nothing rounds."""
    if not names:
        return {}
    wanted = {name: gradients.get(name) for name in names}
    after, _, _ = step_on_copy(before, optimizer, wanted, exact=True, decay=decay)
    return {name: after[name] for name in names}


def step_on_copy(
    before: Mapping[str, nn.Parameter],
    optimizer: Together,
    gradients: Gradients,
    *,
    exact: bool = False,
    decay: bool = True,
    asked: Asked | None = None,
) -> tuple[dict[str, nn.Parameter], Together, int]:
    """Step a copy of the optimizer on copies of the parameters.

    Args:
        before: the parameters by name, of the types that the step is taken in.
        optimizer: that holds them, or several.
        gradients: by name; parameters without an entry are left out of the step.
        exact: whether nothing is rounded: the step is taken in float64.
        decay: whether weight decay has its part.
        asked: what the closure is made from, for an optimizer that asks for one.

    Returns:
        The parameters, the optimizer, and how often it called the closure.
    """
    after: dict[str, nn.Parameter] = {}
    copies = exact or not _only_reads(optimizer)
    for name, weight in before.items():
        dtype = _exact_type(weight) if exact else weight.dtype
        own = weight.detach()
        # What is left out of a step gets no gradient, and what it holds is of no matter.
        copied = torch.empty_like(own) if name not in gradients else own.to(dtype, copy=True)
        after[name] = nn.Parameter(copied, weight.requires_grad)
        gradient = gradients.get(name)
        after[name].grad = None if gradient is None else gradient.detach().to(dtype, copy=copies)
    twin = copy_optimizer(
        optimizer,
        {id(before[name]): after[name] for name in before},
        {id(before[name]) for name in before if name not in gradients},
    )
    if exact:
        _widen_state(twin)
    if not decay:
        for group in twin.param_groups:
            group["weight_decay"] = 0
    closure = None if asked is None else asked.closure(after, wide=exact)
    twin.step(closure)
    return after, twin, 0 if closure is None else closure.calls


def _only_reads(optimizer: Together) -> bool:
    """Tell whether an optimizer is known to leave gradients as they are; many reckon in them."""
    if any(type(each) not in _READING for each in optimizer.each):
        return False
    return not any(group.get("nesterov") or group.get("fused") for group in optimizer.param_groups)


def _exact_type(weight: Tensor) -> torch.dtype:
    if weight.is_complex():
        return torch.complex128
    return wide(weight) if weight.is_floating_point() else weight.dtype


def _widen_state(optimizer: Together) -> None:
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape and value.dim():
                state[key] = value.to(parameter.dtype)
