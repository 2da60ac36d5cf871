"""What the tests of `watch` train."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def net(depth: int = 3, width: int = 8, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    inner = [m for _ in range(depth) for m in (nn.Linear(width, width), nn.Tanh())]
    return nn.Sequential(nn.Linear(4, width), nn.Tanh(), *inner, nn.Linear(width, 3))


def batch(size: int = 16, seed: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(size, 4, generator=generator)
    return x, x[:, :3].argmax(1)
