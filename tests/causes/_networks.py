"""The networks of the patients, each with the switches that make it ill or well."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "gelu": F.gelu,
    "silu": F.silu,
    "softplus": F.softplus,
    "sin": torch.sin,
    "mish": F.mish,
    "elu": F.elu,
    "hardtanh": F.hardtanh,
    "hardswish": F.hardswish,
    "leaky": lambda x: F.leaky_relu(x, 0.2),
    "none": lambda x: x,
    "sqrt": lambda x: torch.sqrt(x * (x > 0)),  # its slope at zero is infinite
    "log": torch.log,
}


def begin(layer: nn.Module, gain: float | None, bias: float | None = 0.0) -> None:
    """Start a layer orthogonally at `gain`; `None` leaves it as PyTorch starts it."""
    if gain is not None:
        nn.init.orthogonal_(layer.weight, gain)
    if bias is not None and layer.bias is not None:
        nn.init.constant_(layer.bias, bias)


class MLP(nn.Module):
    """`depth` hidden layers between a stem and a head.

    Args:
        depth: of the hidden layers.
        width: of each.
        act: name of the activation.
        gain: of the start, `None` for PyTorch's.
        bias: at the start, `None` for PyTorch's.
        skips: `none`, `add`, or `block` (an own weight after the activation).
        norm: none, batch or layer, before each activation.
        dropout: its probability.
        tied: one hidden layer, called `depth` times.
        cut: the hidden layer before which the gradient is cut off.
        leak: what the output of the middle hidden layer is multiplied by.
        head: what the head's weights are multiplied by.
        branch: what each branch is multiplied by; `None` for one over the root of `depth`.
        frozen: names of layers that do not learn: `stem`, `hidden`, `head`.
        dtype: of weights and arithmetic.
    """

    def __init__(
        self,
        depth: int = 2,
        width: int = 48,
        inputs: int = 64,
        outputs: int = 10,
        act: str = "relu",
        gain: float | None = math.sqrt(2),
        bias: float | None = 0.0,
        skips: bool = False,
        norm: str = "none",
        dropout: float = 0.0,
        tied: bool = False,
        cut: int = -1,
        leak: float = 1.0,
        head: float = 1.0,
        branch: float | None = None,
        frozen: tuple[str, ...] = (),
        dtype: str = "float32",
    ) -> None:
        super().__init__()
        self.stem = nn.Linear(inputs, width)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(1 if tied else depth))
        kinds = {"none": nn.Identity, "batch": nn.BatchNorm1d, "layer": nn.LayerNorm}
        self.norms = nn.ModuleList(
            nn.Identity() if norm == "none" else kinds[norm](width) for _ in range(depth)
        )
        self.head = nn.Linear(width, outputs)
        for layer in (self.stem, *self.hidden):
            begin(layer, gain, bias)
        with torch.no_grad():
            self.head.weight.mul_(head)
        self.act, self.skips, self.dropout, self.cut = ACTIVATIONS[act], skips, dropout, cut
        self.depth, self.leak = depth, leak
        self.branch = depth**-0.5 if branch is None else branch
        for name in frozen:
            getattr(self, name).requires_grad_(False)
        self.dtype = getattr(torch, dtype)
        self.to(self.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, outputs)`."""
        x = self.stem(x.to(self.dtype))
        for index in range(self.depth):
            layer = self.hidden[index % len(self.hidden)]
            if index == self.cut:
                x = x.detach()
            y = self.act(self.norms[index](x))
            y = layer(F.dropout(y, self.dropout, self.training))
            if self.leak != 1 and index == self.depth // 2:
                y = y * self.leak
            x = x + self.branch * y if self.skips else y
        return self.head(self.act(x)).float()


class Convolutions(nn.Module):
    """`depth` 3 x 3 convolutions with ReLU on images, in a row or with skips."""

    def __init__(
        self,
        depth: int = 4,
        channels: int = 8,
        gain: float | None = math.sqrt(2),
        norm: bool = False,
        skips: bool = False,
        bias: float = 0.0,
        act: str = "relu",
        frozen_head: bool = False,
    ) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, channels, 3, padding=1)
        self.body = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(depth))
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(channels) if norm else nn.Identity() for _ in range(depth)
        )
        self.head = nn.Linear(channels * 16, 10)
        self.skips, self.act = skips, ACTIVATIONS[act]
        for layer in (self.stem, *self.body):
            if gain is not None:
                fan = layer.weight[0].numel()
                nn.init.normal_(layer.weight, std=gain / fan**0.5)
                nn.init.constant_(layer.bias, bias)
        self.head.requires_grad_(not frozen_head)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 10)`."""
        x = self.stem(x)
        for layer, norm in zip(self.body, self.norms, strict=True):
            y = layer(self.act(norm(x)))
            x = x + y / len(self.body) ** 0.5 if self.skips else y
        return self.head(F.avg_pool2d(self.act(x), 2).flatten(1))


class ResidualImages(nn.Module):
    """A ResNet of basic blocks with batch norm on images; a small one of He et al. 2015.

    Args:
        blocks: how many.
        zero: the last norm of each block starts at zero (Goyal et al. 2017).
        norm: whether there is any.
        dead: whether the second block's branch is multiplied by zero.
    """

    def __init__(
        self, blocks: int = 4, channels: int = 8, zero: bool = False, norm: bool = True,
        gain: float = math.sqrt(2), branch: float = 1.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.stem = nn.Conv2d(1, channels, 3, padding=1)
        make = nn.BatchNorm2d if norm else (lambda _: nn.Identity())
        self.convs = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=1, bias=not norm) for _ in range(2 * blocks)
        )
        self.norms = nn.ModuleList(make(channels) for _ in range(2 * blocks))
        self.head = nn.Linear(channels, 10)
        self.branch = branch
        for layer in (self.stem, *self.convs):
            nn.init.normal_(layer.weight, std=gain / layer.weight[0].numel() ** 0.5)
        if zero:
            for last in self.norms[1::2]:
                nn.init.zeros_(last.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 10)`."""
        x = F.relu(self.stem(x))
        for index in range(0, len(self.convs), 2):
            y = F.relu(self.norms[index](self.convs[index](x)))
            x = F.relu(x + self.branch * self.norms[index + 1](self.convs[index + 1](y)))
        return self.head(F.adaptive_max_pool2d(x, 1).flatten(1))


class Unet(nn.Module):
    """Two levels down and up again; `skips` hands the fine features across."""

    def __init__(self, channels: int = 8, skips: bool = True, bias: float = 0.0) -> None:
        super().__init__()
        c = channels
        self.first, self.down = nn.Conv2d(1, c, 3, padding=1), nn.Conv2d(c, 2 * c, 3, padding=1)
        self.low = nn.Conv2d(2 * c, 2 * c, 3, padding=1)
        self.up = nn.ConvTranspose2d(2 * c, c, 2, 2)
        self.join = nn.Conv2d(2 * c if skips else c, c, 3, padding=1)
        self.head = nn.Conv2d(c, 1, 1)
        self.skips = skips
        for layer in (self.first, self.down, self.low, self.join):
            nn.init.constant_(layer.bias, bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 1, height, width)`."""
        fine = F.relu(self.first(x))
        y = F.relu(self.down(F.max_pool2d(fine, 2)))
        y = self.up(F.relu(self.low(y)))
        return self.head(F.relu(self.join(torch.cat([fine, y], 1) if self.skips else y)))


class Autoencoder(nn.Module):
    """Digits through a bottleneck and back; `depth` layers each way, with tanh."""

    def __init__(self, depth: int = 2, gain: float = 1.05, bottleneck: int = 16) -> None:
        super().__init__()
        widths = [64, *[48] * depth, bottleneck, *[48] * depth, 64]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        for layer in self.layers:
            begin(layer, gain)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 64)`."""
        for layer in self.layers[:-1]:
            x = torch.tanh(layer(x))
        return self.layers[-1](x)


class TwoParts(nn.Module):
    """Two branches that are concatenated, each with an activation and a start of its own."""

    def __init__(self, right: str = "relu", right_bias: float = 0.0, gain: float = 1.4) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(64, 32), nn.Linear(64, 32)
        self.mix, self.head = nn.Linear(64, 32), nn.Linear(32, 10)
        begin(self.right, gain, right_bias)
        self.act = ACTIVATIONS[right]

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 10)`."""
        both = torch.cat([F.relu(self.left(x)), self.act(self.right(x))], 1)
        return self.head(F.relu(self.mix(both)))


class DictOutput(nn.Module):
    """A network inside another that answers with a dict, a second output unused by the loss."""

    def __init__(self, **settings: object) -> None:
        super().__init__()
        self.net = MLP(**settings)  # type: ignore[arg-type]
        self.aside = nn.Linear(10, 1)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Return logits and something beside them."""
        logits = self.net(image)
        return {"logits": logits, "aside": self.aside(logits.detach())}
