"""`skips`: the skip connections that a model has already."""

from __future__ import annotations

from typing import Any

from torch import nn

from .._errors import RewireError
from .._results import Skips
from .._trace import observe, read_skips


def skips(model: nn.Module, inputs: Any) -> Skips:
    """Return the skip connections that a model has, in execution order.

    By addition (identity, projection) or concatenation; beside them the places where parallel
    branches (an Inception block) or several inputs meet, which are no skips.

    Args:
        model: any module that runs eagerly; it is left untouched.
        inputs: what its forward takes: a tensor, a tuple of positional or a dict of keyword
            arguments.

    Returns:
        A sequence that prints as a table.

    Raises:
        RewireError: what was given is no model.
        ModelError: the model raises in forward.

    Example:
        >>> import torch
        >>> layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        >>> [skip.kind for skip in skips(layer, torch.randn(2, 3, 8))]
        ['identity', 'identity']
    """
    if not isinstance(model, nn.Module):
        raise RewireError(
            f"skips was given a {type(model).__name__}, not a torch.nn.Module; for a Case use "
            "skips(case.model(), case.batch()[0]).",
            page="skips#which-are-there",
        )
    graph = observe(model, inputs)
    return Skips(type(model).__name__, len(graph.units), read_skips(graph))
