"""The healthy network at a learning rate of 0.0000001."""

from __future__ import annotations

import torch

from ._healthy_mlp import case as healthy

case = healthy.replace(
    name="tiny-learning-rate",
    summary="a healthy network of three layers at a learning rate of 0.0000001",
    optimizer=lambda parameters: torch.optim.SGD(parameters, lr=1e-7),
)
