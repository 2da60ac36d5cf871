"""30 hidden layers with sigmoid: the gradient vanishes, and no unit is saturated."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from skipway import Case

from ._digits import split_digits


class SigmoidMLP(nn.Module):
    """30 hidden layers in series, `x = hidden(sigmoid(x))`, from 64 pixels to 10 digits."""

    def __init__(self, depth: int = 30, width: int = 64) -> None:
        super().__init__()
        self.stem = nn.Linear(64, width)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of a batch of flat images, `(batch, 64)` to `(batch, 10)`."""
        x = self.stem(x)
        for layer in self.hidden:
            x = layer(torch.sigmoid(x))
        logits: Tensor = self.head(torch.sigmoid(x))
        return logits


_train, _test = split_digits()

case = Case(
    name="sigmoid-mlp",
    summary="a plain network of 30 hidden layers with sigmoid, on scikit-learn's digits",
    model=SigmoidMLP,
    train=_train,
    test=_test,
    loss=nn.functional.cross_entropy,
    optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.1),
    batch_size=64,
    epochs=10,
)
