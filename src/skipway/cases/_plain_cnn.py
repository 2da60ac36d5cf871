"""40 convolutions in a row without normalisation: the gradient vanishes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from skipway import Case

from ._digits import split_digits


class PlainCNN(nn.Module):
    """A 3 × 3 stem, 39 more 3 × 3 convolutions of one width, the mean over the image, a head."""

    def __init__(self, depth: int = 39, width: int = 8) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, stride=2, padding=1)
        self.body = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(depth))
        self.head = nn.Linear(16 * width, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of a batch of images, `(batch, 1, 8, 8)` to `(batch, 10)`."""
        x = self.stem(x)
        for layer in self.body:
            x = layer(torch.relu(x))
        logits: Tensor = self.head(torch.relu(x).flatten(1))
        return logits


_train, _test = split_digits(1, 8, 8)

case = Case(
    name="plain-cnn",
    summary="a plain network of 40 convolutions without normalisation, on scikit-learn's digits",
    model=PlainCNN,
    train=_train,
    test=_test,
    loss=nn.functional.cross_entropy,
    optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.03),
    batch_size=64,
    epochs=10,
)
