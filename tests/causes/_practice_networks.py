"""The networks of the fourth held-out set, with the mistakes that are made with such networks."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from . import _data as data
from . import _networks as networks


class Adapted(nn.Module):
    """Frozen layers, each beside a learned product of two thin matrices (Hu et al. 2021).

    Args:
        rank: of the products.
        start: standard deviation of the first matrix; the second starts at zero.
    """

    def __init__(self, rank: int = 8, start: float = 0.1) -> None:
        super().__init__()
        sizes = list(pairwise((64, 48, 48, 10)))
        self.base = nn.ModuleList(nn.Linear(a, b) for a, b in sizes)
        self.base.requires_grad_(False)
        self.down = nn.ModuleList(nn.Linear(a, rank, bias=False) for a, _ in sizes)
        self.up = nn.ModuleList(nn.Linear(rank, b, bias=False) for _, b in sizes)
        for down, up in zip(self.down, self.up, strict=True):
            nn.init.normal_(down.weight, std=start)
            nn.init.zeros_(up.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 10)`."""
        for index, (base, down, up) in enumerate(zip(self.base, self.down, self.up, strict=True)):
            x = base(x) + up(down(x))
            x = F.relu(x) if index < 2 else x
        return x


class Quantised(nn.Module):
    """Activations on a coarse grid, the gradient straight through (Bengio et al. 2013)."""

    def __init__(self, depth: int = 3, width: int = 48) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise((64, *[width] * depth)))
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 10)`."""
        for layer in self.layers:
            x = F.relu(layer(x))
            x = x + (torch.round(8 * x) / 8 - x).detach()
        return self.head(x)


class ReZero(nn.Module):
    """Branches that each start at a weight of zero (Bachlechner et al. 2020)."""

    def __init__(self, depth: int = 50, width: int = 40) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(64, width), nn.Linear(width, 10)
        self.body = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.gains = nn.ParameterList(torch.zeros(()) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 10)`."""
        x = self.stem(x)
        for layer, gain in zip(self.body, self.gains, strict=True):
            x = x + gain * F.relu(layer(x))
        return self.head(x)


class Routed(nn.Module):
    """Each sample goes to the one expert that a gate likes best; `bias` is for the first one."""

    def __init__(self, experts: int = 4, bias: float = 8.0) -> None:
        super().__init__()
        self.gate, self.head = nn.Linear(64, experts), nn.Linear(48, 10)
        self.experts = nn.ModuleList(nn.Linear(64, 48) for _ in range(experts))
        with torch.no_grad():
            self.gate.bias[0] += bias

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 10)`."""
        weight, chosen = self.gate(x).softmax(1).max(1)
        y = x.new_zeros(len(x), 48)
        for index, expert in enumerate(self.experts):
            rows = chosen == index
            if rows.any():
                y[rows] = F.relu(expert(x[rows]))
        return self.head(weight[:, None] * y)


class Bridge(nn.Module):
    """An encoder and what reads its answer; `how` the one gets to the other.

    Args:
        how: `whole`; `data`, by way of the tensor's data; `choice`, the index of the largest;
            `branch`, a second encoder beside the first is computed without a gradient.
    """

    def __init__(self, how: str = "whole", width: int = 6) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, width))
        self.other = nn.Linear(64, width)
        self.reader = nn.Sequential(nn.Linear(width, 32), nn.ReLU(), nn.Linear(32, 10))
        self.how = how

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 10)`."""
        y = self.encoder(x)
        if self.how == "data":
            y = y.data
        if self.how == "choice":
            y = F.one_hot(y.argmax(1), y.shape[1]).float()
        if self.how == "branch":
            with torch.no_grad():
                z = self.other(x)
            y = y + z
        return self.reader(y)


class Mixed(nn.Module):
    """Weights in float32 and arithmetic in `dtype`: under autocast, or by casts (`by_hand`)."""

    def __init__(self, dtype: str = "bfloat16", by_hand: bool = False, depth: int = 3) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise((64, *[48] * depth, 10)))
        self.dtype, self.by_hand = getattr(torch, dtype), by_hand

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 10)`."""
        if not self.by_hand:
            with torch.autocast("cpu", self.dtype):
                for layer in self.layers[:-1]:
                    x = F.relu(layer(x))
                return self.layers[-1](x).float()
        x = x.to(self.dtype)
        for layer in self.layers:
            x = F.linear(x, layer.weight.to(self.dtype), layer.bias.to(self.dtype))
            x = F.relu(x) if layer is not self.layers[-1] else x
        return x.float()


class Graph(nn.Module):
    """Classes of the nodes of a graph, each layer the mean of the neighbours (Kipf 2017).

    Args:
        depth: layers.
        skips: each layer adds to what it reads.
    """

    def __init__(self, depth: int = 2, width: int = 24, skips: bool = False) -> None:
        super().__init__()
        features, near = data.neighbours()
        self.register_buffer("features", features)
        self.register_buffer("near", near)
        self.stem, self.head = nn.Linear(64, width), nn.Linear(width, 10)
        self.body = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.skips = skips

    def forward(self, nodes: Tensor) -> Tensor:
        """Return `(batch, 10)` for the nodes of these numbers."""
        h = self.stem(self.features)
        for layer in self.body:
            y = layer(F.relu(self.near @ h))
            h = h + y if self.skips else y
        return self.head(h)[nodes]


class Masks(nn.Module):
    """A U-Net's answers, squashed by a sigmoid or as they are."""

    def __init__(self, squashed: bool = False) -> None:
        super().__init__()
        self.net, self.squashed = networks.Unet(), squashed

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 1, height, width)`."""
        x = self.net(x)
        return torch.sigmoid(x) if self.squashed else x


class OneNumber(nn.Module):
    """One number a sample, as a column or (`flat`) as a vector."""

    def __init__(self, flat: bool = True) -> None:
        super().__init__()
        self.net, self.flat = networks.MLP(inputs=16, outputs=1), flat

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch,)` or `(batch, 1)`."""
        x = self.net(x)
        return x.squeeze(1) if self.flat else x


class Twins(nn.Module):
    """An encoder and a predictor of its answer for another view (Chen and He 2021)."""

    def __init__(self, stop: bool = True) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 32)
        )
        self.predictor = nn.Sequential(nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 32))
        self.stop = stop

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return what is predicted, and what is to be predicted of this view, `(batch, 32)`."""
        y = self.encoder(x)
        return self.predictor(y), y.detach() if self.stop else y


class Adversaries(nn.Module):
    """A generator of digits, and a judge that knows real ones and is `sharp`."""

    def __init__(self, sharp: float = 300.0) -> None:
        super().__init__()
        self.generator = nn.Sequential(nn.Linear(8, 48), nn.ReLU(), nn.Linear(48, 64))
        self.register_buffer("real", data.digits(64)[0][0].mean(0))
        self.sharp = sharp

    def forward(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return images, and the logit that each is real."""
        images = self.generator(noise)
        return images, self.sharp * (0.03 - ((images - self.real) ** 2).mean(1))
