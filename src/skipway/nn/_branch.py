"""Run a branch on a tensor that others read too: it must not overwrite it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .._errors import SkipError

# They may hand on the memory of their input, so what comes after them decides.
_PASSING = (
    nn.Identity, nn.Flatten, nn.Unflatten, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d,
    nn.AlphaDropout, nn.FeatureAlphaDropout,
)  # fmt: skip


def overwrites_input(body: nn.Module) -> bool | None:
    """Tell from how `body` is built whether it overwrites its input; `None` if its code decides."""
    for leaf in _leaves(body):
        if getattr(leaf, "inplace", False):
            return True
        if not type(leaf).__module__.startswith(("torch.nn.modules", __package__)):
            return None
        if not isinstance(leaf, _PASSING):
            return False
    return False


def run(body: nn.Module, x: Tensor, context: tuple[Any, ...], overwrites: bool | None) -> Any:
    """Return `body(x, *context)` without letting it change `x`, which the shortcut reads too.

    A body known to overwrite its input gets a copy. Where only its code could tell, it is watched;
    inference mode and compilers keep no version to watch, so there it gets a copy as well (one
    that a compiler removes again).

    Raises:
        SkipError: the body overwrote its input.
    """
    if overwrites is False:
        return body(x, *context)
    if overwrites is None and not torch.compiler.is_compiling() and not x.is_inference():
        return _watched(body, x, context)
    return body(x.clone(), *context)


def _watched(body: nn.Module, x: Tensor, context: tuple[Any, ...]) -> Any:
    version = x._version
    output = body(x, *context)
    if x._version != version:
        raise SkipError(
            f"The body ({type(body).__name__}) overwrites its input (an in-place ReLU or dropout, "
            "x += ..., or the like), and the shortcut reads the same tensor: the sum would be "
            "wrong. Let its first operation make a new tensor: inplace=False, x = x + ..."
        )
    return output


def _leaves(body: nn.Module) -> list[nn.Module]:
    if not isinstance(body, nn.Sequential) or type(body).forward is not nn.Sequential.forward:
        return [body]
    return [leaf for child in body for leaf in _leaves(child)]
