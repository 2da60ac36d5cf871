"""A plain recurrent network that must remember: the gradient vanishes through time."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from skipway import Case

from ._digits import split_digits


class PlainRNN(nn.Module):
    """Reads the rows of an image one by one, waits 32 blank steps, and says which digit it was.

    `h = tanh(input(row) + hidden(h))`, Elman 1990, with one `hidden` for all steps.
    """

    def __init__(self, width: int = 64, steps: int = 40) -> None:
        super().__init__()
        self.steps = steps
        self.input = nn.Linear(8, width)
        self.hidden = nn.Linear(width, width)
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of a batch of images, `(batch, 8, 8)` to `(batch, 10)`."""
        h = torch.tanh(self.input(x[:, 0]))
        for t in range(1, 8):
            h = torch.tanh(self.input(x[:, t]) + self.hidden(h))
        for _ in range(8, self.steps):
            h = torch.tanh(self.hidden(h))
        logits: Tensor = self.head(h)
        return logits


_train, _test = split_digits(8, 8)

case = Case(
    name="plain-rnn",
    summary="a recurrent network that reads a digit row by row and answers 32 steps later",
    model=PlainRNN,
    train=_train,
    test=_test,
    loss=nn.functional.cross_entropy,
    optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.03),
    batch_size=64,
    epochs=10,
)
