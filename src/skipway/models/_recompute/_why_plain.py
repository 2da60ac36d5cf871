"""Where norms and ReLUs must not be recomputed: the modules have to run, one by one.

The functions beside this file give the numbers that the modules would give, for plain modules in
training mode. Whatever is not known to be the same is refused here, with a reason.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from ...nn import Add
from .._ordinary import is_watched, unusual_input, unusual_norm, unusual_weights

# What stands in for which module, by the start of its name. Others run as modules in any case.
_ROLES = {
    "add": Add,
    "bn": nn.BatchNorm2d,
    "conv": nn.Conv2d,
    "maxpool": nn.MaxPool2d,
    "relu": nn.ReLU,
}


def why_plain(x: Tensor, modules: Iterable[tuple[str, nn.Module]]) -> str:
    """Return why these modules have to run on `x`, or nothing where they need not.

    Args:
        x: the input.
        modules: those that would not be called, each with its name, and perhaps others.
    """
    if not torch.is_grad_enabled():
        return "no gradient is recorded"
    if reason := unusual_input(x):
        return reason
    if x.ndim != 4:
        return f"the input has {x.ndim} axes, not 4"
    for name, module in modules:
        role = _ROLES.get(name.rstrip("0123456789"))
        if role is not None and (reason := _module(module, role, x)):
            return f"{name} {reason}"
    return ""


def _module(module: nn.Module, role: type[nn.Module], x: Tensor) -> str:
    if type(module) is not role:
        return f"is a {type(module).__name__}"
    if is_watched(module):
        return "has a hook"
    if reason := unusual_weights(x, module.parameters(recurse=False)):
        return reason
    if isinstance(module, nn.BatchNorm2d):
        return "is in eval mode" if not module.training else unusual_norm(module)
    if isinstance(module, nn.Conv2d) and (module.bias is not None or _padded_oddly(module)):
        return "has a bias, or another padding than zeros"
    if isinstance(module, nn.MaxPool2d) and module.return_indices:
        return "returns indices"
    return ""


def _padded_oddly(conv: nn.Conv2d) -> bool:
    return conv.padding_mode != "zeros" or isinstance(conv.padding, str)
