"""The networks of the third held-out set, each with the switches that make it ill or well."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ._networks import ACTIVATIONS


class Plain(nn.Module):
    """Layers in a row, with what people do to them by mistake.

    Args:
        depth: hidden layers.
        act: name in `ACTIVATIONS`.
        gain: of the start: standard deviation times the root of the inputs.
        constant: every weight starts at this one value instead.
        rounded: the middle signal is rounded, which has a slope of zero everywhere.
        rebuilt: the middle signal is made anew from its numbers, as by way of numpy.
        clipped: `relu` on the answer, the last bias starting at this value.
        soft: softmax on the answer, before a loss that takes its own.
        dtype: of weights and arithmetic.
    """

    def __init__(
        self, depth: int = 3, width: int = 40, inputs: int = 64, outputs: int = 10,
        act: str = "relu", gain: float = 1.4, constant: float | None = None, rounded: bool = False,
        rebuilt: bool = False, clipped: float | None = None, soft: bool = False,
        dtype: str = "float32", frozen_from: int = 99,
    ) -> None:  # fmt: skip
        super().__init__()
        widths = [inputs, *[width] * depth]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.head, self.act = nn.Linear(width, outputs), ACTIVATIONS[act]
        for layer in self.layers:
            nn.init.normal_(layer.weight, std=gain / layer.in_features**0.5)
            nn.init.zeros_(layer.bias)
        if constant is not None:
            for layer in (*self.layers, self.head):
                nn.init.constant_(layer.weight, constant)
                nn.init.zeros_(layer.bias)
        for layer in [*self.layers, self.head][frozen_from:]:
            layer.requires_grad_(False)
        self.clipped, self.soft = clipped, soft
        if clipped is not None:
            nn.init.constant_(self.head.bias, clipped)
        self.rounded, self.rebuilt, self.dtype = rounded, rebuilt, getattr(torch, dtype)
        self.to(self.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, outputs)`."""
        x = x.to(self.dtype)
        for index, layer in enumerate(self.layers):
            x = self.act(layer(x))
            if index == len(self.layers) - 2:
                x = torch.round(x) if self.rounded else x
                x = torch.tensor(x.detach().tolist()) if self.rebuilt else x
        x = self.head(x)
        if self.clipped is not None:
            x = F.relu(x)
        return (x.softmax(1) if self.soft else x).float()


class Grid(nn.Module):
    """Messages between the neighbours of an image's grid (Kipf and Welling 2017)."""

    def __init__(self, depth: int = 2, width: int = 12, skips: bool = False) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(1, width), nn.Linear(width, 1)
        self.body = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        place = torch.stack(torch.meshgrid(torch.arange(8), torch.arange(8), indexing="ij"))
        place = place.flatten(1).T.float()
        near = (torch.cdist(place, place) < 1.5).float()
        self.register_buffer("near", near / near.sum(1, keepdim=True))
        self.skips = skips

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 1, 8, 8)`."""
        h = self.stem(x.flatten(2).transpose(1, 2))
        for layer in self.body:
            y = layer(F.relu(self.near @ h))
            h = h + y / len(self.body) ** 0.5 if self.skips else y
        return self.head(h).transpose(1, 2).unflatten(2, (8, 8))


class Siamese(nn.Module):
    """One encoder for two images, and whether they show the same digit; one may be cut off."""

    def __init__(self, stop: bool = False) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 24))
        self.head, self.stop = nn.Sequential(nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, 1)), stop

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 1)`."""
        one, two = self.encoder(x[:, 0]), self.encoder(x[:, 1])
        two = two.detach() if self.stop else two
        return self.head((one - two).abs())


class Maxout(nn.Module):
    """The larger of two linear functions in each unit (Goodfellow et al. 2013)."""

    def __init__(self, depth: int = 8, width: int = 32) -> None:
        super().__init__()
        widths = [64, *[width] * depth]
        self.layers = nn.ModuleList(nn.Linear(a, 2 * b) for a, b in pairwise(widths))
        self.head = nn.Linear(width, 10)
        for layer in self.layers:
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 10)`."""
        for layer in self.layers:
            x = layer(x).unflatten(1, (-1, 2)).amax(2)
        return self.head(x)


class SetSum(nn.Module):
    """Every pixel by itself, then their sum (Zaheer et al. 2017), times `by`."""

    def __init__(self, by: float = 1.0) -> None:
        super().__init__()
        self.each = nn.Sequential(nn.Linear(65, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU())
        self.head, self.by = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 10)), by

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 10)`."""
        place = torch.eye(64).expand(len(x), 64, 64)
        return self.head(
            self.by * self.each(torch.cat([x[..., None], 4 * x[..., None] * place], 2)).sum(1)
        )


class Experts(nn.Module):
    """A gate chooses one of four experts and weighs it by its probability (Fedus et al. 2021)."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.head = nn.Linear(64, 4), nn.Linear(32, 10)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 32)) for _ in range(4)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 10)`."""
        share = self.gate(x).softmax(1)
        chosen = F.one_hot(share.argmax(1), 4)
        y = torch.stack([expert(x) for expert in self.experts], 1)
        return self.head((y * (share * chosen)[..., None]).sum(1))


class Next(nn.Module):
    """Depthwise convolutions with a layer scale that starts at `scale` (Liu et al. 2022)."""

    def __init__(self, blocks: int = 4, width: int = 16, scale: float = 1e-6) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(1, width, 2, 2), nn.Linear(width, 10)
        self.deep = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=1, groups=width) for _ in range(blocks)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(blocks + 1))
        self.up = nn.ModuleList(nn.Linear(width, 4 * width) for _ in range(blocks))
        self.down = nn.ModuleList(nn.Linear(4 * width, width) for _ in range(blocks))
        self.scale = nn.ParameterList(torch.full((width,), scale) for _ in range(blocks))

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 10)`."""
        x = self.stem(x.view(-1, 1, 8, 8))
        for deep, norm, up, down, scale in zip(
            self.deep, self.norms[:-1], self.up, self.down, self.scale, strict=True
        ):
            y = down(F.gelu(up(norm(deep(x).permute(0, 2, 3, 1)))))
            x = x + (scale * y).permute(0, 3, 1, 2)
        return self.head(self.norms[-1](x.mean((2, 3))))


class Grouped(nn.Module):
    """Convolutions with group normalisation, and a leaky stream `keep * x + f(x)`."""

    def __init__(
        self, depth: int = 4, keep: float = 0.0, norm: bool = True, gain: float = 1.4
    ) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(1, 8, 3, padding=1), nn.Linear(32, 10)
        self.body = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1) for _ in range(depth))
        self.norms = nn.ModuleList(
            nn.GroupNorm(2, 8) if norm else nn.Identity() for _ in range(depth)
        )
        for layer in self.body:
            nn.init.normal_(layer.weight, std=gain / 72**0.5)
        self.keep = keep

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 10)`."""
        x = self.stem(x.view(-1, 1, 8, 8))
        for layer, norm in zip(self.body, self.norms, strict=True):
            x = self.keep * x + norm(layer(F.relu(x)))
        return self.head(F.adaptive_avg_pool2d(F.relu(x), 2).flatten(1))


class Loop(nn.Module):
    """A recurrence written by hand over the steps of a sequence.

    Args:
        act: `relu` or `tanh`.
        gain: of the recurrent weights, which start as that times the identity (Le et al. 2015).
        forget: the state is cut from its past at this step.
    """

    def __init__(
        self, width: int = 24, act: str = "relu", gain: float = 1.0, forget: int = -1
    ) -> None:
        super().__init__()
        self.read, self.keep = nn.Linear(8, width), nn.Linear(width, width, bias=False)
        self.head, self.act, self.forget = nn.Linear(width, 4), ACTIVATIONS[act], forget
        nn.init.eye_(self.keep.weight)
        with torch.no_grad():
            self.keep.weight.mul_(gain)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 4)`."""
        h = x.new_zeros(len(x), self.keep.in_features)
        for step in range(x.shape[1]):
            if step == self.forget:
                h = h.detach()
            h = self.act(self.read(x[:, step]) + self.keep(h))
        return self.head(h)


class Both(nn.Module):
    """An LSTM in both directions and a head on the mean of its states."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, width, bidirectional=True, batch_first=True)
        self.head = nn.Linear(2 * width, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 4)`."""
        return self.head(self.lstm(x)[0].mean(1))


class Encoder(nn.Module):
    """PyTorch's own transformer encoder on tokens; `heat` multiplies what attention compares."""

    def __init__(
        self, layers: int = 3, width: int = 24, first: bool = False, heat: float = 1.0
    ) -> None:
        super().__init__()
        self.embed = nn.Embedding(16, width)
        one = nn.TransformerEncoderLayer(width, 2, 48, 0.0, batch_first=True, norm_first=first)
        self.body = nn.TransformerEncoder(one, layers, enable_nested_tensor=False)
        self.head = nn.Linear(width, 4)
        with torch.no_grad():
            for layer in self.body.layers:
                layer.self_attn.in_proj_weight[: 2 * width].mul_(heat)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 4)`."""
        return self.head(self.body(self.embed(x)).mean(1))


class Gated(nn.Module):
    """`y = t * f(x) + (1 - t) * x`, a highway whose gates start at `bias`; `gain` is of f."""

    def __init__(
        self, depth: int = 30, width: int = 32, bias: float = -2.0, gain: float = 1.0
    ) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(64, width), nn.Linear(width, 10)
        self.branch = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.gates = nn.ParameterList(torch.full((width,), bias) for _ in range(depth))
        for layer in self.branch:
            nn.init.orthogonal_(layer.weight, gain)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 10)`."""
        x = self.stem(x)
        for layer, gate in zip(self.branch, self.gates, strict=True):
            t = torch.sigmoid(gate)
            x = t * torch.tanh(layer(x)) + (1 - t) * x
        return self.head(x)


class Equilibrium(nn.Module):
    """`z = tanh(W z + U x)` again and again (Bai et al. 2019); `again` reads x at every turn."""

    def __init__(
        self, turns: int = 24, width: int = 40, gain: float = 0.6, again: bool = True
    ) -> None:
        super().__init__()
        self.read, self.turn = nn.Linear(64, width), nn.Linear(width, width)
        self.head = nn.Linear(width, 10)
        nn.init.orthogonal_(self.turn.weight, gain)
        self.turns, self.again = turns, again

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 10)`."""
        read = self.read(x)
        z = torch.tanh(read)
        for _ in range(self.turns):
            z = torch.tanh(self.turn(z) + (read if self.again else 0))
        return self.head(z)


class Unsafe(nn.Module):
    """Arithmetic that breaks: `how` is length, exp, where, or safe."""

    def __init__(self, how: str = "safe") -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(64, 48), nn.Linear(48, 48), nn.Linear(48, 10)
        self.how = how

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 10)`."""
        x = self.second(F.relu(self.first(x)))
        if self.how == "where":  # the value is right, the slope of the other half is NaN
            return self.head(torch.where(x > 0, x.sqrt(), torch.zeros_like(x)))
        x = F.relu(x)
        if self.how == "length":  # rows without ink have none
            x = x * (x.mean(1, keepdim=True) > x.mean())
            x = x / x.norm(dim=1, keepdim=True)
        if self.how == "exp":
            x = torch.exp(300 * x)
        return self.head(x)


class Tasks(nn.Module):
    """A body and two answers; only the first one counts in the loss."""

    def __init__(self, dropout: float = 0.5) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(64, 64), nn.Mish(), nn.Dropout(dropout), nn.Linear(64, 64)
        )
        self.head, self.other = nn.Linear(64, 10), nn.Linear(64, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return `(batch, 10)` and `(batch, 3)`."""
        x = F.mish(self.body(x))
        return self.head(x), self.other(x)


class Variational(nn.Module):
    """An encoder to a mean and a log-variance, a sample, and a decoder (Kingma 2013)."""

    def __init__(self, code: int = 8, gain: float = 1.0) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 48), nn.Tanh(), nn.Linear(48, 2 * code))
        self.decoder = nn.Sequential(nn.Linear(code, 48), nn.Tanh(), nn.Linear(48, 64))
        self.decoder[2].weight.data.mul_(gain)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the image again, mean and log-variance."""
        mean, log = self.encoder(x).chunk(2, 1)
        noise = torch.randn_like(mean) if self.training else 0.0
        return self.decoder(mean + (log / 2).exp() * noise), mean, log
