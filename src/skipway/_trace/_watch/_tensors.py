"""A parameter or a gradient as a plain dense real tensor of this process."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def plain(parameter: Tensor) -> Tensor:
    """Return the part of a parameter that this process holds, as real numbers, sharing memory."""
    own: Any = parameter.detach()
    if is_sharded(own):
        own = own.to_local()
    return torch.view_as_real(own) if own.is_complex() else own


def plain_gradient(gradient: Tensor, parameter: Tensor) -> Tensor:
    """Return the part of a gradient that belongs to `plain(parameter)`, dense and real."""
    own: Any = gradient.detach()
    if is_sharded(own):
        if own.placements != parameter.placements:  # type: ignore[attr-defined]  # a DTensor
            own = own.redistribute(placements=parameter.placements)  # type: ignore[attr-defined]
        own = own.to_local()
    if own.is_sparse:
        own = own.to_dense()
    return torch.view_as_real(own) if own.is_complex() else own


def is_sharded(tensor: Tensor) -> bool:
    """Tell whether a tensor is a DTensor, one piece of which lies in this process."""
    return hasattr(tensor, "placements") and hasattr(tensor, "to_local")


def width(parameter: Tensor) -> torch.dtype:
    """Return the type in which a parameter's numbers are gathered: all its values fit exactly."""
    double = parameter.dtype in (torch.float64, torch.complex128)
    return torch.float64 if double else torch.float32
