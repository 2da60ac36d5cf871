"""Weights kept in bfloat16, which has 8 bits for the digits: small steps are rounded away."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ._healthy_mlp import HealthyMLP
from ._healthy_mlp import case as healthy


class HalfMLP(nn.Module):
    """The healthy network, 256 wide, with its weights and all its arithmetic in bfloat16."""

    def __init__(self) -> None:
        super().__init__()
        self.net = HealthyMLP(width=256).to(torch.bfloat16)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of a batch of flat images, `(batch, 64)` to `(batch, 10)`."""
        logits: Tensor = self.net(x.to(torch.bfloat16))
        return logits.float()


case = healthy.replace(
    name="bf16-updates",
    summary="a network whose weights are kept in bfloat16 and take steps too small for it",
    model=HalfMLP,
    optimizer=lambda parameters: torch.optim.Adam(parameters, lr=4e-5),
    epochs=30,
)
