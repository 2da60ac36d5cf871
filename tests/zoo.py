"""Awkward models, shared by all tests: each one is something that people really write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint


@dataclass(frozen=True)
class Exhibit:
    """A model with inputs it runs on; `objective(model, batch)` is its loss."""

    name: str
    build: Callable[[], nn.Module]
    inputs: Callable[[], Any]
    weight_layers: int

    def objective(self, model: nn.Module, batch: Any) -> Tensor:
        if isinstance(batch, dict):
            output = model(**batch)
        else:
            output = model(*batch) if isinstance(batch, tuple) else model(batch)
        while not isinstance(output, Tensor):
            output = next(iter(output.values())) if isinstance(output, dict) else output[0]
        flat = output.flatten(1)
        target = torch.arange(flat.shape[0]) % flat.shape[1]
        return F.cross_entropy(flat, target)


class Plain(nn.Module):
    def __init__(self, depth: int = 6, width: int = 8) -> None:
        super().__init__()
        self.stem = nn.Linear(4, width)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.head = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for layer in self.hidden:
            x = layer(torch.relu(x))
        return self.head(torch.relu(x))


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(4, 8)
        self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.b(F.relu(self.a(x)))
        y += x
        return self.head(y)


class Shared(nn.Module):
    """One layer called three times."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.layer, self.head = nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for _ in range(3):
            x = self.layer(torch.tanh(x))
        return self.head(x)


class Recurrent(nn.Module):
    """A recurrent net, unrolled over a fixed number of steps."""

    def __init__(self, steps: int = 6) -> None:
        super().__init__()
        self.steps = steps
        self.input, self.hidden, self.head = nn.Linear(3, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.zeros(x.shape[0], 8)
        for t in range(self.steps):
            h = torch.tanh(self.input(x[:, t]) + self.hidden(h))
        return self.head(h)


class Tied(nn.Module):
    """The embedding is the output layer too."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.middle = nn.Embedding(11, 8), nn.Linear(8, 8)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.middle(self.embedding(tokens)).mean(1)
        return F.linear(x, self.embedding.weight)


class DictOutput(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.head, self.other = nn.Linear(4, 8), nn.Linear(8, 3), nn.Linear(8, 2)

    def forward(self, *, features: Tensor, scale: Tensor) -> dict[str, Tensor]:
        x = F.gelu(self.body(features * scale))
        return {"logits": self.head(x), "other": self.other(x)}


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.head = nn.Linear(4, 8), nn.Linear(2, 8), nn.Linear(16, 3)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.head(torch.cat([self.left(a), self.right(b)], 1))


class Restless(nn.Module):
    """Changes itself in forward: a counter, a stash, a buffer that is replaced, noise."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(4, 8), nn.Linear(8, 3)
        self.calls, self.last, self.seen = 0, None, []
        self.register_buffer("mean", torch.zeros(8))

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x + 0.01 * torch.randn_like(x))
        self.calls += 1
        self.last = x
        self.seen.append(float(x.detach().sum()))
        self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(0)
        return self.head(F.dropout(torch.relu(x), 0.5, self.training))


class Checkpointed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8))
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(checkpoint(self.body, x, use_reentrant=False))


class Branches(nn.Module):
    """What it does depends on the data."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.head = nn.Linear(4, 8), nn.Linear(4, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x) if x.sum() > -1e9 else self.b(x)
        return self.head(torch.relu(x))


class Functional(nn.Module):
    """Weights of its own, without submodules."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.randn(4, 8) / 2)
        self.second = nn.Parameter(torch.randn(8, 3) / 2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x @ self.first) @ self.second


class _Twice(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return 2 * x

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return 2 * gradient


class CustomFunction(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.twice, self.head = nn.Linear(4, 8), _Double(), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.twice(self.body(x)))


class _Double(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return _Twice.apply(x)


class ConvNormAct(nn.Module):
    """The block that everybody writes."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, out, 3, padding=1, bias=False)
        self.norm, self.act = nn.BatchNorm2d(out), nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.norm(self.conv(x)))


class Blocks(nn.Module):
    """Blocks of one's own in a loop, with the widths and sizes of a VGG."""

    def __init__(self) -> None:
        super().__init__()
        widths = [1, 4, 4, 4, 8, 8, 8, 8]
        self.blocks = nn.ModuleList(map(ConvNormAct, widths, widths[1:]))
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i == 3:
                x = F.max_pool2d(x, 2)
        return self.head(x.mean((2, 3)))


class DeepBranches(Plain):
    """A deep net that looks at its data: its forward cannot be read ahead of time."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for layer in self.hidden:
            x = layer(torch.relu(x) if x.sum() > -1e9 else x)
        return self.head(torch.relu(x))


class DeepCheckpointed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(4, 8)
        self.parts = nn.ModuleList(
            nn.Sequential(nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8)) for _ in range(3)
        )
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for part in self.parts:
            x = checkpoint(part, x, use_reentrant=False)
        return self.head(x)


class KeywordDropout(nn.Module):
    """Keyword arguments with defaults, dropout as a function, a dict as output."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, 8) for a in (4, 8, 8, 8, 8, 8))
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor, *, rate: float = 0.25, deep: bool = True) -> dict[str, Tensor]:
        for layer in self.layers:
            x = F.dropout(F.gelu(layer(x)), rate, self.training)
        return {"logits": self.head(x)}


def _narrowing() -> nn.Module:
    widths = [4, 16, 16, 12, 12, 8, 8, 8]
    layers = [m for a, b in pairwise(widths) for m in (nn.Linear(a, b), nn.Tanh())]
    return nn.Sequential(nn.Sequential(*layers[:6]), nn.Sequential(*layers[6:]), nn.Linear(8, 3))


def _deep_in_place() -> nn.Module:
    layers = [m for _ in range(6) for m in (nn.Linear(8, 8), nn.ReLU(inplace=True))]
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(inplace=True), *layers, nn.Linear(8, 3))


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down, self.low = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, 2, 1)
        self.up, self.out = nn.ConvTranspose2d(4, 4, 2, 2), nn.Conv2d(8, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        fine = torch.relu(self.down(x))
        coarse = torch.relu(self.low(fine))
        return self.out(torch.cat([fine, self.up(coarse)], 1))


def _frozen_norm() -> nn.Module:
    model = _conv_norm()
    model[1].eval()
    for parameter in model[1].parameters():
        parameter.requires_grad_(False)
    return model


def _conv_norm() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True),
        nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3),
    )  # fmt: skip


def _hooked() -> nn.Module:
    model = Plain()
    model.hidden[1].register_forward_hook(lambda module, args, output: output * 1.5)
    return model


def _with_gradients() -> nn.Module:
    model = Plain()
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 0.25)
    return model


def _flat(n: int = 5) -> Tensor:
    return torch.randn(n, 4)


def _image() -> Tensor:
    return torch.randn(5, 1, 8, 8)


def _transformer() -> nn.Module:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    return nn.Sequential(layer, nn.Flatten(), nn.Linear(24, 3))


ZOO = [
    Exhibit("plain", Plain, _flat, 8),
    Exhibit("residual, in place", Residual, _flat, 4),
    Exhibit("shared layer", Shared, _flat, 5),
    Exhibit("recurrent", Recurrent, lambda: torch.randn(5, 6, 3), 13),
    Exhibit("tied", Tied, lambda: torch.randint(11, (5, 7)), 3),
    Exhibit("dict in and out", DictOutput,
            lambda: {"features": torch.randn(5, 4), "scale": torch.ones(4)}, 3),
    Exhibit("two inputs", TwoInputs, lambda: (torch.randn(5, 4), torch.randn(5, 2)), 3),
    Exhibit("restless", Restless, _flat, 2),
    Exhibit("checkpointed", Checkpointed, _flat, 3),
    Exhibit("data-dependent", Branches, _flat, 2),
    Exhibit("functional", Functional, _flat, 2),
    Exhibit("custom function", CustomFunction, _flat, 2),
    Exhibit("u-net", UNet, _image, 4),
    Exhibit("conv, norm, in-place relu", _conv_norm, _image, 3),
    Exhibit("frozen norm", _frozen_norm, _image, 3),
    Exhibit("hooked already", _hooked, _flat, 8),
    Exhibit("with gradients", _with_gradients, _flat, 8),
    Exhibit("lstm", lambda: _Last(nn.LSTM(3, 8, 2, batch_first=True), nn.Linear(8, 3)),
            lambda: torch.randn(5, 6, 3), 2),
    Exhibit("transformer", _transformer, lambda: torch.randn(5, 3, 8), 4),
    Exhibit("blocks, narrowing", Blocks, _image, 8),
    Exhibit("data-dependent, deep", DeepBranches, _flat, 8),
    Exhibit("checkpointed, deep", DeepCheckpointed, _flat, 8),
    Exhibit("keywords and dropout, deep", KeywordDropout, lambda: {"x": _flat()}, 7),
    Exhibit("narrowing", _narrowing, _flat, 8),
    Exhibit("in-place relu, deep", _deep_in_place, _flat, 8),
    Exhibit("spectral norm",
            lambda: nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(4, 8)),
                                  nn.Tanh(), nn.Linear(8, 3)), _flat, 2),
]  # fmt: skip


class _Last(nn.Module):
    def __init__(self, body: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.body, self.head = body, head

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x)[0][:, -1])
