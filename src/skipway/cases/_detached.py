"""A `detach` in the middle of forward: the layers before it never learn."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ._healthy_mlp import case as healthy


class Detached(nn.Module):
    """Squeezes the image into four numbers, detaches them by mistake, and classifies."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))
        self.decoder = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 10))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of a batch of flat images, `(batch, 64)` to `(batch, 10)`."""
        code = self.encoder(x).detach()
        logits: Tensor = self.decoder(torch.relu(code))
        return logits


case = healthy.replace(
    name="detached",
    summary="an encoder that a detach in forward cuts off from the loss",
    model=Detached,
)
