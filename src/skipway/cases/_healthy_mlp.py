"""Three layers, well started, at a good learning rate: there is nothing to cure."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from skipway import Case

from ._digits import split_digits


class HealthyMLP(nn.Module):
    """Two hidden layers with ReLU, started after He et al. 2015, and a head."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.stem = nn.Linear(64, width)
        self.hidden = nn.Linear(width, width)
        self.head = nn.Linear(width, 10)
        for layer in (self.stem, self.hidden):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of a batch of flat images, `(batch, 64)` to `(batch, 10)`."""
        x = torch.relu(self.stem(x))
        x = torch.relu(self.hidden(x))
        logits: Tensor = self.head(x)
        return logits


_train, _test = split_digits()

case = Case(
    name="healthy-mlp",
    summary="three layers, well started, at a good learning rate, on scikit-learn's digits",
    model=HealthyMLP,
    train=_train,
    test=_test,
    loss=nn.functional.cross_entropy,
    optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.1),
    batch_size=64,
    epochs=10,
)
