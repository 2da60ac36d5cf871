"""`skips`: the skip connections that a model has already."""

from __future__ import annotations

from typing import Any

from torch import nn

from .._results import SkipConnection
from .._trace import observe, read_skips


def skips(model: nn.Module, inputs: Any) -> tuple[SkipConnection, ...]:
    """Return the skip connections that a model has, in execution order.

    Args:
        model: any module that runs eagerly; it is left untouched.
        inputs: what its forward takes: a tensor, a tuple of positional or a dict of keyword
            arguments.

    Raises:
        ModelError: the model raises in forward.

    Example:
        >>> import torch
        >>> layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        >>> [skip.kind for skip in skips(layer, torch.randn(2, 3, 8))]
        ['identity', 'identity']
    """
    return read_skips(observe(model, inputs))
