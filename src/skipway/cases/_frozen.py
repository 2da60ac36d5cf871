"""Fine-tuning gone wrong: the loop that froze the backbone froze the new head as well."""

from __future__ import annotations

import torch
from torch import nn

from ._healthy_mlp import HealthyMLP
from ._healthy_mlp import case as healthy


def frozen() -> nn.Module:
    """Return the healthy network with every weight frozen; only the biases of the head learn."""
    model = HealthyMLP()
    for parameter in model.parameters():
        parameter.requires_grad = False
    model.head.bias.requires_grad = True
    return model


case = healthy.replace(
    name="frozen",
    summary="a network of three layers with every weight frozen, the head's too",
    model=frozen,
    optimizer=lambda parameters: torch.optim.SGD(
        [each for each in parameters if each.requires_grad], lr=0.1
    ),
)
