"""Biases far below zero: nearly every unit is off for every image, and stays off."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from skipway import Case

from ._digits import split_digits


class DeadReLU(nn.Module):
    """Four hidden layers with ReLU whose biases all start at -1."""

    def __init__(self, depth: int = 4, width: int = 64) -> None:
        super().__init__()
        widths = [64] + [width] * depth
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.head = nn.Linear(width, 10)
        for layer in self.hidden:
            assert isinstance(layer, nn.Linear)
            nn.init.constant_(layer.bias, -1.0)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of a batch of flat images, `(batch, 64)` to `(batch, 10)`."""
        for layer in self.hidden:
            x = torch.relu(layer(x))
        logits: Tensor = self.head(x)
        return logits


_train, _test = split_digits()

case = Case(
    name="dead-relu",
    summary="four hidden layers whose biases start at -1 and switch the units off",
    model=DeadReLU,
    train=_train,
    test=_test,
    loss=nn.functional.cross_entropy,
    optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.1),
    batch_size=64,
    epochs=10,
)
