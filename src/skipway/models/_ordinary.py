"""Is a call an ordinary one, in which modules need not run one by one?

Faster ways to the same numbers bypass the modules. Whoever watches modules or operations, records
them or changes what they mean would not notice, so then the modules run. The questions are the
same for every way, and are asked here: of the input, the weights, the norms, the modules. Those
called `unusual_` answer with the reason in words, or with nothing where all is as usual.

Where the ways differ is the gradient, beside the shapes that each can do:

```
_dense/_plan, _dense/_stem   in training mode needed or not; in eval mode none
_folding                     none
_recompute                   one is recorded: without it there is nothing to keep less for
```
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn.modules import module as torch_module
from torch.overrides import _get_current_function_mode_stack
from torch.utils._device import DeviceContext

_DTYPES = (torch.float32, torch.float64)


def unusual_input(x: Tensor) -> str:
    """Return what is unusual about `x` itself, or about where and when it is computed with."""
    if reason := _surroundings(x):
        return reason
    if x.dtype not in _DTYPES:
        return f"the input is {str(x.dtype).removeprefix('torch.')}"
    return "" if x.numel() else "the input is empty"


def unusual_weights(x: Tensor, weights: Iterable[Tensor]) -> str:
    """Return what is unusual about whatever has these parameters, to compute with `x`."""
    for weight in weights:
        if type(weight) not in (Tensor, nn.Parameter):
            return f"has a {type(weight).__name__}"
        if weight.dtype != x.dtype or weight.device != x.device:
            return "differs from the input in dtype or device"
    return ""


def needs_gradient(x: Tensor, weights: Iterable[Tensor]) -> bool:
    """Will a backward through this call be asked for a gradient?"""
    return torch.is_grad_enabled() and (
        x.requires_grad or any(weight.requires_grad for weight in weights)
    )


def _surroundings(x: Tensor) -> str:
    """Return what looks on or has another meaning for operations on `x`."""
    if torch._C._is_tracing():
        return "torch.jit is tracing"
    if type(x) not in (Tensor, nn.Parameter):
        return f"the input is a {type(x).__name__}, not a plain tensor"
    if torch._C._len_torch_dispatch_stack() or _function_mode():
        return "a dispatch or function mode is active"
    if torch._C._functorch.peek_interpreter_stack() is not None:
        return "a transform of torch.func is active"
    if forward_ad._current_level >= 0:
        return "forward-mode differentiation is active"
    if x.device.type not in ("cpu", "cuda"):  # before autocast, which does not know all of them
        return f"the input is on {x.device.type}"
    if torch.is_autocast_enabled(x.device.type):
        return "autocast is on"
    return "a hook on all modules is registered" if _hooked_everywhere() else ""


def unusual_norm(norm: Any) -> str:
    """Return why a batch norm does not normalise in the usual way."""
    if norm.weight is None or norm.bias is None:
        return "has no weight or no bias"
    if not norm.track_running_stats or norm.running_mean is None or norm.running_var is None:
        return "keeps no running statistics"
    if norm.training and (norm.momentum is None or norm.num_batches_tracked is None):
        return "has momentum=None, a mean over all batches"
    return ""


def is_watched(module: nn.Module) -> bool:
    """Would calling this module do more than its class says?"""
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
        or "forward" in module.__dict__
    )


def any_watched(module: nn.Module) -> bool:
    """Is this module watched, or one inside it?"""
    # `modules()` would take several times as long, and this runs in every call.
    return is_watched(module) or any(
        child is not None and any_watched(child) for child in module._modules.values()
    )


def _function_mode() -> bool:
    if not torch._C._len_torch_function_stack():
        return False
    # Only where new tensors go, `torch.set_default_device`, does not look at any operation.
    modes: Any = _get_current_function_mode_stack()  # type: ignore[no-untyped-call]
    return any(type(mode) is not DeviceContext for mode in modes)


def _hooked_everywhere() -> bool:
    return bool(
        torch_module._global_forward_hooks
        or torch_module._global_forward_pre_hooks
        or torch_module._global_backward_hooks
        or torch_module._global_backward_pre_hooks
    )
