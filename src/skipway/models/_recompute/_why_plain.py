"""Where norms and ReLUs must not be recomputed: the modules have to run, one by one.

The functions beside this file give the numbers that the modules would give, for plain modules in
training mode. Whatever is not known to be the same is refused here, with a reason.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn.modules import module as torch_module

from ...nn import Add

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
    if reason := _surroundings(x):
        return reason
    for name, module in modules:
        role = _ROLES.get(name.rstrip("0123456789"))
        if role is not None and (reason := _module(module, role, x)):
            return f"{name} {reason}"
    return ""


def _surroundings(x: Tensor) -> str:
    if torch._C._is_tracing():
        return "torch.jit is tracing"
    if type(x) not in (Tensor, nn.Parameter):
        return f"the input is a {type(x).__name__}, not a plain tensor"
    if torch._C._len_torch_dispatch_stack() or torch._C._len_torch_function_stack():
        return "a dispatch or function mode is active"
    if torch._C._functorch.peek_interpreter_stack() is not None:
        return "a transform of torch.func is active"
    if forward_ad._current_level >= 0:
        return "forward-mode differentiation is active"
    if torch.is_autocast_enabled(x.device.type):
        return "autocast is on"
    if x.ndim != 4 or x.dtype not in (torch.float32, torch.float64):
        return f"the input is {x.ndim}-dimensional {str(x.dtype).removeprefix('torch.')}"
    if x.numel() == 0:
        return "the input is empty"
    if x.device.type not in ("cpu", "cuda"):
        return f"the input is on {x.device.type}"
    return "a hook on all modules is registered" if _hooked_everywhere() else ""


def _module(module: nn.Module, role: type[nn.Module], x: Tensor) -> str:
    if type(module) is not role:
        return f"is a {type(module).__name__}"
    if _watched(module):
        return "has a hook"
    for parameter in module.parameters(recurse=False):
        if type(parameter) not in (Tensor, nn.Parameter):
            return f"has a {type(parameter).__name__}"
        if parameter.dtype != x.dtype or parameter.device != x.device:
            return "differs from the input in dtype or device"
    if isinstance(module, nn.BatchNorm2d):
        return _norm(module)
    if isinstance(module, nn.Conv2d) and (module.bias is not None or _padded_oddly(module)):
        return "has a bias, or another padding than zeros"
    if isinstance(module, nn.MaxPool2d) and module.return_indices:
        return "returns indices"
    return ""


def _norm(norm: nn.BatchNorm2d) -> str:
    if not norm.training:
        return "is in eval mode"
    if norm.weight is None or norm.bias is None:
        return "has no weight or no bias"
    if not norm.track_running_stats or norm.running_mean is None or norm.running_var is None:
        return "keeps no running statistics"
    if norm.momentum is None or norm.num_batches_tracked is None:
        return "has momentum=None, a mean over all batches"
    return ""


def _padded_oddly(conv: nn.Conv2d) -> bool:
    return conv.padding_mode != "zeros" or isinstance(conv.padding, str)


def _watched(module: nn.Module) -> bool:
    """Would calling this module do more than its class says?"""
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
        or "forward" in module.__dict__
    )


def _hooked_everywhere() -> bool:
    return bool(
        torch_module._global_forward_hooks
        or torch_module._global_forward_pre_hooks
        or torch_module._global_backward_hooks
        or torch_module._global_backward_pre_hooks
    )
