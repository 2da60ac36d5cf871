"""The healthy network at a learning rate of 30."""

from __future__ import annotations

import torch

from ._healthy_mlp import case as healthy

case = healthy.replace(
    name="huge-learning-rate",
    summary="a healthy network of three layers at a learning rate of 30",
    optimizer=lambda parameters: torch.optim.SGD(parameters, lr=30),
)
