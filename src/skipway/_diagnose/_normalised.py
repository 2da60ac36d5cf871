"""Batch normalisations that take mean and variance of two numbers."""

from __future__ import annotations

import math

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from .._trace import Graph


def over_two(model: nn.Module, graph: Graph) -> tuple[str, ...]:
    """Return the batch normalisations that see two numbers for each channel in this pass.

    Over two numbers `(x - mean) / root of the variance` is one and minus one, whatever they are.
    """
    modules = dict(model.named_modules())
    return tuple(
        dict.fromkeys(
            node.module
            for node in graph.nodes
            if node.op == "batch_norm" and len(node.shape) > 1
            for each in [modules.get(node.module)]
            if isinstance(each, _BatchNorm) and (each.training or each.running_mean is None)
            if node.shape[0] * math.prod(node.shape[2:]) == 2
        )
    )
