"""The default case: a plain network of 50 hidden layers that does not learn at all."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from skipway import Case

from ._digits import split_digits


class PlainMLP(nn.Module):
    """`depth` hidden layers in series, `x = hidden(relu(x))`, from 64 pixels to 10 digits."""

    def __init__(self, depth: int = 50, width: int = 64) -> None:
        super().__init__()
        self.stem = nn.Linear(64, width)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of a batch of flat images, `(batch, 64)` to `(batch, 10)`."""
        x = self.stem(x)
        for layer in self.hidden:
            x = layer(torch.relu(x))
        logits: Tensor = self.head(torch.relu(x))
        return logits


_train, _test = split_digits()

case = Case(
    name="plain-mlp",
    summary="a plain network of 50 hidden layers of width 64 with ReLU, on scikit-learn's digits",
    model=PlainMLP,
    train=_train,
    test=_test,
    loss=nn.functional.cross_entropy,
    optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.01),
    batch_size=64,
    epochs=10,
)
