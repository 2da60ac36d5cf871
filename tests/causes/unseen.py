"""Patients written after the rules and thresholds were final, with networks of their own.

What the diagnosis says of them was reported once, as it was (docs/causes.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skipway import Case

from . import _data as data
from ._builder import build
from ._families import bag, convolutions, mlp, recurrent, regression, transformer
from ._optimizers import Stepper
from ._patient import Patient


class Selu(nn.Module):
    """`depth` layers with SELU, started at a gain (1 is LeCun's)."""

    def __init__(self, depth: int = 24, width: int = 48, gain: float = 1.0) -> None:
        super().__init__()
        widths = [64, *[width] * depth]
        self.layers = nn.ModuleList(
            nn.Linear(a, b) for a, b in zip(widths, [*widths[1:], 10], strict=True)
        )
        for layer in self.layers:
            nn.init.normal_(layer.weight, std=gain / layer.in_features**0.5)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 10)`."""
        for layer in self.layers[:-1]:
            x = F.selu(layer(x))
        return self.layers[-1](x)


class Dense(nn.Module):
    """Every layer reads all earlier ones; `shrink` multiplies what each adds."""

    def __init__(self, depth: int = 12, growth: int = 8, shrink: float = 1.0) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(64 + i * growth, growth) for i in range(depth))
        self.head = nn.Linear(64 + depth * growth, 10)
        self.shrink = shrink

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 10)`."""
        for layer in self.layers:
            x = torch.cat([x, self.shrink * F.relu(layer(x))], 1)
        return self.head(x)


class Sequence(nn.Module):
    """Convolutions along a sequence, in a row, and a head on the mean."""

    def __init__(
        self, depth: int = 16, width: int = 12, gain: float = 1.0, skips: bool = False
    ) -> None:
        super().__init__()
        self.stem = nn.Conv1d(8, width, 1)
        self.body = nn.ModuleList(nn.Conv1d(width, width, 3, padding=1) for _ in range(depth))
        self.head = nn.Linear(width, 4)
        self.skips = skips
        for layer in self.body:
            nn.init.normal_(layer.weight, std=gain / layer.weight[0].numel() ** 0.5)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 4)`."""
        x = self.stem(x.transpose(1, 2))
        for layer in self.body:
            y = layer(torch.tanh(x))
            x = x + y / len(self.body) ** 0.5 if self.skips else y
        return self.head(torch.tanh(x).amax(2))


class Normalised(nn.Module):
    """Divides each image by its own standard deviation inside forward; blank ones give NaN."""

    def __init__(self, small: float = 0.0) -> None:
        super().__init__()
        self.first, self.head, self.small = nn.Linear(64, 48), nn.Linear(48, 10), small

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 10)`."""
        x = x * (x.mean(1, keepdim=True) > 0.25)  # what is dim is blanked
        x = x / (x.std(1, keepdim=True) + self.small)
        return self.head(F.relu(self.first(x)))


class NewHead(nn.Module):
    """A body and a head that was exchanged and starts at zero."""

    def __init__(self, gain: float = 1.4) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(64, 48), nn.Tanh(), nn.Linear(48, 4), nn.Tanh())
        self.head = nn.Linear(4, 10)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        nn.init.orthogonal_(self.body[0].weight, gain)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 10)`."""
        return self.head(self.body(x))


@dataclass(frozen=True)
class WithoutHead(Stepper):
    """An optimizer that was built before the head was exchanged."""

    def __call__(self, parameters: Any) -> torch.optim.Optimizer:
        """Return it."""
        return super().__call__(list(parameters)[:-2])


class Highway(nn.Module):
    """`y = t * f(x) + (1 - t) * x` with a gate whose bias is given (Srivastava et al. 2015)."""

    def __init__(self, depth: int = 20, width: int = 40, bias: float = -2.0) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(64, width), nn.Linear(width, 10)
        self.branch = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.gate = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        for gate in self.gate:
            nn.init.constant_(gate.bias, bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 10)`."""
        x = self.stem(x)
        for branch, gate in zip(self.branch, self.gate, strict=True):
            t = torch.sigmoid(gate(x))
            x = t * torch.tanh(branch(x)) + (1 - t) * x
        return self.head(x)


def held_out(
    network: Callable[..., nn.Module],
    pairs: str,
    optimizer: Stepper,
    batch: int = 64,
    column: float = 1.0,
    noise: float = 0.0,
    **settings: Any,
) -> Case:
    """Return a case; `column` multiplies one input, `noise` is the share of wrong labels."""
    (inputs, targets), test = PAIRS[pairs]()
    scale = torch.ones(inputs.shape[-1])
    scale[27 % len(scale)] = column
    if noise:
        generator = torch.Generator().manual_seed(12)
        wrong = torch.rand(len(targets), generator=generator) < noise
        other = torch.randint(10, (len(targets),), generator=generator)
        targets = torch.where(wrong, other, targets)
    both = (inputs * scale, targets), (test[0] * scale, test[1])
    return build(network, both, optimizer, batch, "classes", **settings)


PAIRS = {"digits": lambda: data.digits(64), "series": lambda: data.memory(20, 10)}


def _settings(network: Callable[..., nn.Module], optimizer: Stepper, **more: Any) -> dict[str, Any]:
    return {"network": network, "pairs": "digits", "optimizer": optimizer, **more}


PATIENTS = [
    Patient(
        name="selu-24",
        family=held_out,
        settings=_settings(Selu, Stepper(rate=0.03)),
    ),
    Patient(
        name="selu-24-small-start",
        family=held_out,
        settings=_settings(Selu, Stepper(rate=0.03), gain=0.4),
        cures={
            "critical start": {"gain": 1.0},
            "larger rate": {"optimizer": Stepper(rate=0.3)},
            "smaller rate": {"optimizer": Stepper(rate=0.003)},
        },
    ),
    Patient(
        name="dense-12",
        family=held_out,
        settings=_settings(Dense, Stepper(rate=0.1)),
    ),
    Patient(
        name="highway-20",
        family=held_out,
        settings=_settings(Highway, Stepper("adam", 3e-3)),
    ),
    Patient(
        name="sequence-16-small-start",
        family=held_out,
        settings={
            "network": Sequence,
            "pairs": "series",
            "optimizer": Stepper(rate=0.1),
            "gain": 0.5,
        },
        cures={
            "skips": {"skips": True},
            "larger rate": {"optimizer": Stepper(rate=1.0)},
            "smaller rate": {"optimizer": Stepper(rate=0.01)},
        },
        steps=200,
    ),
    Patient(
        name="sequence-6",
        family=held_out,
        settings={
            "network": Sequence,
            "pairs": "series",
            "optimizer": Stepper("adam", 3e-3),
            "depth": 6,
        },
    ),
    Patient(
        name="blank-images-divided-by-nothing",
        family=held_out,
        settings=_settings(Normalised, Stepper(rate=0.1)),
        cures={
            "finite": {"small": 1.0},
            "smaller rate": {"optimizer": Stepper(rate=0.01)},
        },
    ),
    Patient(
        name="new-head-unknown-to-the-optimizer",
        family=held_out,
        settings=_settings(NewHead, WithoutHead("adam", 3e-3)),
        cures={
            "all held": {"optimizer": Stepper("adam", 3e-3)},
            "larger rate": {"optimizer": WithoutHead("adam", 3e-2)},
            "smaller rate": {"optimizer": WithoutHead("adam", 3e-4)},
        },
    ),
    Patient(
        name="half-of-the-labels-wrong",
        family=held_out,
        settings=_settings(Selu, Stepper("adam", 1e-3), depth=2, noise=0.5),
    ),
    Patient(
        name="one-input-in-millions",
        family=held_out,
        settings=_settings(Selu, Stepper(rate=0.03), depth=2, column=1e6),
        cures={
            "inputs scaled": {"column": 1.0},
            "smaller rate": {"optimizer": Stepper(rate=1e-6)},
            "even smaller rate": {"optimizer": Stepper(rate=1e-10)},
        },
    ),
    Patient(
        name="adagrad-like-small-steps-of-rmsprop",
        family=mlp,
        settings={"optimizer": "rmsprop", "rate": 1e-7},
        cures={"larger rate": {"rate": 1e-3}, "smaller rate": {"rate": 1e-9}},
    ),
    Patient(
        name="rmsprop-rate-1",
        family=regression,
        settings={"optimizer": "rmsprop", "rate": 1.0},
        cures={"smaller rate": {"rate": 1e-3}, "larger rate": {"rate": 10.0}},
    ),
    Patient(
        name="rmsprop-decay",
        family=convolutions,
        settings={"depth": 2, "optimizer": "rmsprop", "rate": 1e-3, "decay": 3.0, "batch": 32},
        cures={
            "decay off": {"decay": 0.0},
            "larger rate": {"rate": 1e-2},
            "smaller rate": {"rate": 1e-5},
        },
    ),
    Patient(
        name="tokens-with-shuffled-labels",
        family=bag,
        settings={"optimizer": "adam", "rate": 1e-2, "labels": "shuffled", "batch": 128},
        cures={
            "true labels": {"labels": "true"},
            "larger rate": {"rate": 0.1},
            "smaller rate": {"rate": 1e-4},
        },
    ),
    Patient(
        name="sequence-labels-shuffled",
        family=recurrent,
        settings={
            "cell": "gru",
            "length": 8,
            "told": 4,
            "optimizer": "adam",
            "rate": 1e-2,
            "labels": "shuffled",
            "batch": 128,
        },
        cures={
            "true labels": {"labels": "true"},
            "larger rate": {"rate": 0.1},
            "smaller rate": {"rate": 1e-4},
        },
    ),
    Patient(
        name="gelu-4-biases-far-below-zero",
        family=mlp,
        settings={"depth": 4, "act": "gelu", "bias": -8.0, "rate": 0.1},
        cures={
            "biases at zero": {"bias": 0.0},
            "larger rate": {"rate": 1.0},
            "smaller rate": {"rate": 0.01},
        },
    ),
    Patient(
        name="batch-norm-saves-a-large-start",
        family=mlp,
        settings={"depth": 8, "norm": "batch", "gain": 30.0, "rate": 0.05},
        steps=300,
    ),
    Patient(
        name="bfloat16-momentum",
        family=mlp,
        settings={
            "dtype": "bfloat16",
            "optimizer": "adamw",
            "rate": 2e-5,
            "width": 64,
            "depth": 3,
        },
        cures={
            "float32": {"dtype": "float32"},
            "larger rate": {"rate": 1e-3},
            "smaller rate": {"rate": 1e-6},
        },
        steps=800,
        goal=0.9,
    ),
    Patient(
        name="transformer-rate-1",
        family=transformer,
        settings={"blocks": 2, "optimizer": "sgd", "rate": 30.0},
        cures={
            "smaller rate": {"rate": 0.1},
            "even smaller rate": {"rate": 1e-3},
            "larger rate": {"rate": 300.0},
        },
    ),
    Patient(
        name="embedding-frozen",
        family=bag,
        settings={"optimizer": "adam", "rate": 1e-2, "hold_from": 1},
    ),
]
