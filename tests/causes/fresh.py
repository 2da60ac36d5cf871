"""A second set of patients with networks of their own, written before any of them was diagnosed.

What the diagnosis said of them at first sight was reported once, as it was (docs/causes.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from skipway import Case

from . import _data as data
from ._builder import build
from ._networks import ACTIVATIONS
from ._objectives import Likelihood
from ._optimizers import Stepper
from ._patient import Patient


class Mixer(nn.Module):
    """Rows of a digit are mixed with each other, then within themselves (Tolstikhin et al. 2021).

    Args:
        blocks: how many.
        bias: of the hidden layers, before GELU.
        dtype: of weights and arithmetic.
    """

    def __init__(self, blocks: int = 4, bias: float = 0.0, dtype: str = "float32") -> None:
        super().__init__()
        self.embed, self.head = nn.Linear(8, 16), nn.Linear(16, 10)
        self.norms = nn.ModuleList(nn.LayerNorm(16) for _ in range(2 * blocks))
        sizes = [8, 16] * blocks
        self.up = nn.ModuleList(nn.Linear(size, 32) for size in sizes)
        self.down = nn.ModuleList(nn.Linear(32, size) for size in sizes)
        for layer in self.up:
            nn.init.constant_(layer.bias, bias)
        self.dtype = getattr(torch, dtype)
        self.to(self.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 10)`."""
        x = self.embed(x.view(-1, 8, 8).to(self.dtype))
        for at, norm in enumerate(self.norms):
            y = norm(x) if at % 2 else norm(x).transpose(1, 2)
            y = self.down[at](F.gelu(self.up[at](y)))
            x = x + (y if at % 2 else y.transpose(1, 2))
        return self.head(x.mean(1)).float()


class WeightNormed(nn.Module):
    """Layers whose weights have rows of one length (Salimans and Kingma 2016)."""

    def __init__(
        self, depth: int = 20, width: int = 48, length: float = 1.1, act: str = "tanh",
        bias: float = 0.0, inputs: int = 64, outputs: int = 10,
    ) -> None:  # fmt: skip
        super().__init__()
        widths = [inputs, *[width] * depth]
        layers = [nn.Linear(a, b) for a, b in pairwise(widths)]
        for layer in layers:
            nn.init.constant_(layer.bias, bias)
        self.layers = nn.ModuleList(parametrizations.weight_norm(layer) for layer in layers)
        for layer in self.layers:
            nn.init.constant_(layer.parametrizations.weight.original0, length)
        self.head, self.act = nn.Linear(width, outputs), ACTIVATIONS[act]

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, outputs)`."""
        for layer in self.layers:
            x = self.act(layer(x))
        return self.head(x)


class Dilated(nn.Module):
    """Causal convolutions along a sequence that look back twice as far each (van den Oord 2016)."""

    def __init__(
        self, depth: int = 10, width: int = 12, gain: float = 1.2, skips: bool = False
    ) -> None:
        super().__init__()
        self.stem = nn.Conv1d(8, width, 1)
        self.body = nn.ModuleList(
            nn.Conv1d(width, width, 2, dilation=2 ** (i % 4)) for i in range(depth)
        )
        self.head, self.skips = nn.Linear(width, 4), skips
        for layer in self.body:
            nn.init.normal_(layer.weight, std=gain / layer.weight[0].numel() ** 0.5)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 4)`."""
        x = self.stem(x.transpose(1, 2))
        for layer in self.body:
            y = layer(F.pad(F.elu(x), (layer.dilation[0], 0)))
            x = x + y / len(self.body) ** 0.5 if self.skips else y
        return self.head(F.elu(x)[..., -1])


class Squeezed(nn.Module):
    """Convolutions whose channels are weighed by what the whole image holds (Hu et al. 2018)."""

    def __init__(self, depth: int = 3, channels: int = 8, held: str = "all") -> None:
        super().__init__()
        c = channels
        self.stem = nn.Conv2d(1, c, 3, padding=1)
        self.body = nn.ModuleList(nn.Conv2d(c, c, 3, padding=1) for _ in range(depth))
        self.squeeze = nn.ModuleList(nn.Conv2d(c, 4, 1) for _ in range(depth))
        self.excite = nn.ModuleList(nn.Conv2d(4, c, 1) for _ in range(depth))
        self.head = nn.Linear(4 * c, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 10)`."""
        x = self.stem(x.view(-1, 1, 8, 8))
        for layer, squeeze, excite in zip(self.body, self.squeeze, self.excite, strict=True):
            x = F.hardswish(layer(x))
            scale = excite(F.relu(squeeze(F.adaptive_avg_pool2d(x, 1))))
            x = x * F.hardsigmoid(scale)
        return self.head(F.adaptive_avg_pool2d(x, 2).flatten(1))


class Stacked(nn.Module):
    """A GRU of several layers and a head on its last state."""

    def __init__(self, layers: int = 3, width: int = 24) -> None:
        super().__init__()
        self.gru = nn.GRU(8, width, layers, batch_first=True)
        self.head = nn.Linear(width, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 4)`."""
        return self.head(self.gru(x)[0][:, -1])


class Pooled(nn.Module):
    """Embeddings that attention weighs and sums up."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.embed, self.score = nn.Embedding(16, width), nn.Linear(width, 1)
        self.hidden, self.head = nn.Linear(width, width), nn.Linear(width, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 4)`."""
        x = self.embed(x)
        x = (x * self.score(x).softmax(1)).sum(1)
        return self.head(F.silu(self.hidden(x)))


class Narrow(nn.Module):
    """An encoder down to three numbers and a decoder; `blocked` computes the encoder in no_grad."""

    def __init__(self, blocked: bool = True, safe: bool = True, temperature: float = 1.0) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 32), nn.SiLU(), nn.Linear(32, 3), nn.Tanh())
        self.head = nn.Linear(3, 10)
        self.blocked, self.safe, self.temperature = blocked, safe, temperature

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 10)`."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.blocked):
            x = self.encoder(x)
        x = self.head(x) / self.temperature
        return F.log_softmax(x, 1) if self.safe else torch.log(F.softmax(x, 1))


class Gaussian(nn.Module):
    """A mean and a logarithm of a variance for each of two numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(16, 48), nn.SiLU(), nn.Linear(48, 48), nn.SiLU())
        self.mean, self.log = nn.Linear(48, 2), nn.Linear(48, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 4)`."""
        x = self.body(x)
        return torch.cat([self.mean(x), self.log(x)], 1)


@dataclass(frozen=True)
class Other:
    """Builds an optimizer of a further kind; `only` keeps parameters of so many dimensions."""

    kind: str
    rate: float
    decay: float = 0.0
    only: int = -1

    def __call__(self, parameters: Any) -> torch.optim.Optimizer:
        """Return it."""
        held = [p for p in parameters if self.only < 0 or p.dim() == self.only]
        kinds = {
            "adagrad": torch.optim.Adagrad, "nadam": torch.optim.NAdam,
            "adamax": torch.optim.Adamax, "adam": torch.optim.Adam,
        }  # fmt: skip
        if self.kind == "nesterov":
            return torch.optim.SGD(
                held, self.rate, momentum=0.95, nesterov=True, weight_decay=self.decay
            )
        return kinds[self.kind](held, self.rate, weight_decay=self.decay)


def fresh(
    network: Callable[..., nn.Module],
    pairs: str,
    optimizer: Any,
    batch: int = 64,
    labels: str = "true",
    offset: float = 0.0,
    kind: str = "classes",
    **settings: Any,
) -> Case:
    """Return a case; `offset` is added to the inputs."""
    (inputs, targets), test = PAIRS[pairs]()
    if labels == "permuted":
        targets = targets[torch.randperm(len(targets), generator=torch.Generator().manual_seed(3))]
    if offset:
        inputs, test = inputs + offset, (test[0] + offset, test[1])
    objective = Likelihood() if kind == "likelihood" else None
    return build(network, ((inputs, targets), test), optimizer, batch, kind, objective, **settings)


PAIRS = {
    "digits": lambda: data.digits(64),
    "series": lambda: data.memory(20, 16),
    "end": lambda: data.memory(20, 19),
    "waves": data.waves,
    "tokens": data.tokens,
}


def _settings(
    network: Callable[..., nn.Module], optimizer: Any, pairs: str = "digits", **more: Any
) -> dict[str, Any]:
    return {"network": network, "pairs": pairs, "optimizer": optimizer, **more}


PATIENTS = [
    Patient(name="mixer", family=fresh, settings=_settings(Mixer, Stepper("adam", 3e-3))),
    Patient(
        name="mixer-branches-off",
        family=fresh,
        settings=_settings(Mixer, Stepper("adam", 3e-3), bias=-12.0),
        cures={
            "biases at zero": {"bias": 0.0},
            "larger rate": {"optimizer": Stepper("adam", 3e-2)},
            "smaller rate": {"optimizer": Stepper("adam", 3e-4)},
        },
    ),
    Patient(
        name="mixer-in-bfloat16",
        family=fresh,
        settings=_settings(Mixer, Stepper("adam", 1e-4), dtype="bfloat16", blocks=2),
        cures={
            "float32": {"dtype": "float32"},
            "larger rate": {"optimizer": Stepper("adam", 3e-3)},
            "smaller rate": {"optimizer": Stepper("adam", 1e-6)},
        },
        steps=600,
        goal=0.8,
    ),
    Patient(
        name="mixer-after-learning",
        family=fresh,
        settings=_settings(Mixer, Stepper("adam", 3e-3), blocks=2),
        steps=900,
        before=800,
    ),
    Patient(
        name="weight-norm-14",
        family=fresh,
        settings=_settings(WeightNormed, Stepper("adam", 3e-3), length=1.1, depth=14),
        steps=400,
    ),
    Patient(
        name="weight-norm-14-short-rows",
        family=fresh,
        settings=_settings(WeightNormed, Stepper("adam", 3e-3), length=0.6, depth=14),
        cures={
            "critical start": {"length": 1.1},
            "larger rate": {"optimizer": Stepper("adam", 5e-2)},
            "smaller rate": {"optimizer": Stepper("adam", 1e-4)},
        },
        steps=400,
    ),
    Patient(
        name="softplus-units-off",
        family=fresh,
        settings=_settings(
            WeightNormed, Stepper("adam", 3e-3), depth=5, act="softplus", bias=-25.0
        ),
        cures={
            "biases at zero": {"bias": 0.0},
            "larger rate": {"optimizer": Stepper("adam", 3e-2)},
            "smaller rate": {"optimizer": Stepper("adam", 3e-4)},
        },
    ),
    Patient(
        name="elu-units-off",
        family=fresh,
        settings=_settings(WeightNormed, Stepper(rate=0.1), depth=4, act="elu", bias=-15.0),
        cures={
            "biases at zero": {"bias": 0.0},
            "larger rate": {"optimizer": Stepper(rate=1.0)},
            "smaller rate": {"optimizer": Stepper(rate=0.01)},
        },
    ),
    Patient(
        name="silu-last-layer-off",
        family=fresh,
        settings=_settings(WeightNormed, Stepper(rate=0.1), depth=1, act="silu", bias=-30.0),
        cures={
            "biases at zero": {"bias": 0.0},
            "larger rate": {"optimizer": Stepper(rate=1.0)},
            "smaller rate": {"optimizer": Stepper(rate=0.01)},
        },
    ),
    Patient(
        name="hardtanh-on-its-ends",
        family=fresh,
        settings=_settings(WeightNormed, Stepper(rate=0.1), depth=4, act="hardtanh", length=80.0),
        cures={
            "start off the flat ends": {"length": 1.1},
            "larger rate": {"optimizer": Stepper(rate=1.0)},
            "smaller rate": {"optimizer": Stepper(rate=0.01)},
        },
    ),
    Patient(
        name="dilated-10-small-start",
        family=fresh,
        settings=_settings(Dilated, Stepper(rate=0.1), "series", gain=0.35),
        cures={
            "skips": {"skips": True},
            "critical start": {"gain": 1.4},
            "larger rate": {"optimizer": Stepper(rate=1.0)},
            "smaller rate": {"optimizer": Stepper(rate=0.01)},
        },
        steps=300,
    ),
    Patient(
        name="dilated-10-skips",
        family=fresh,
        settings=_settings(Dilated, Stepper("adam", 3e-3), "series", skips=True),
    ),
    Patient(
        name="stacked-gru",
        family=fresh,
        settings=_settings(Stacked, Stepper("adam", 1e-2), "end"),
    ),
    Patient(
        name="stacked-gru-sgd-rate-1e-5",
        family=fresh,
        settings=_settings(Stacked, Stepper(rate=1e-5), "end"),
        cures={
            "larger rate": {"optimizer": Stepper(rate=1.0)},
            "even larger rate": {"optimizer": Stepper("adam", 1e-2)},
            "smaller rate": {"optimizer": Stepper(rate=1e-7)},
        },
    ),
    Patient(
        name="squeeze-and-excite",
        family=fresh,
        settings=_settings(Squeezed, Stepper("adam", 1e-2)),
    ),
    Patient(
        name="squeeze-and-excite-far-from-zero",
        family=fresh,
        settings=_settings(Squeezed, Stepper("adam", 1e-4), offset=1000.0),
        cures={
            "inputs centred": {"offset": 0.0, "optimizer": Stepper("adam", 1e-2)},
            "larger rate": {"optimizer": Stepper("adam", 1e-2)},
            "smaller rate": {"optimizer": Stepper("adam", 1e-6)},
        },
    ),
    Patient(
        name="adagrad-rate-1e-7",
        family=fresh,
        settings=_settings(Squeezed, Other("adagrad", 1e-7)),
        cures={
            "larger rate": {"optimizer": Other("adagrad", 0.03)},
            "smaller rate": {"optimizer": Other("adagrad", 1e-9)},
        },
        steps=300,
    ),
    Patient(
        name="nadam-rate-3",
        family=fresh,
        settings=_settings(Mixer, Other("nadam", 3.0)),
        cures={
            "smaller rate": {"optimizer": Other("nadam", 3e-3)},
            "larger rate": {"optimizer": Other("nadam", 30.0)},
        },
    ),
    Patient(
        name="nesterov-rate-2",
        family=fresh,
        settings=_settings(WeightNormed, Other("nesterov", 2.0), depth=3, act="silu"),
        cures={
            "smaller rate": {"optimizer": Other("nesterov", 0.02)},
            "larger rate": {"optimizer": Other("nesterov", 20.0)},
        },
    ),
    Patient(
        name="adamax-decay",
        family=fresh,
        settings=_settings(Squeezed, Other("adamax", 1e-2, decay=3.0)),
        cures={
            "decay off": {"optimizer": Other("adamax", 1e-2)},
            "larger rate": {"optimizer": Other("adamax", 0.1, decay=3.0)},
            "smaller rate": {"optimizer": Other("adamax", 1e-4, decay=3.0)},
        },
        steps=300,
    ),
    Patient(
        name="permuted-values",
        family=fresh,
        settings=_settings(
            WeightNormed, Stepper("adam", 3e-3), "waves", depth=2, act="silu", inputs=16,
            outputs=2, kind="square", labels="permuted", batch=256,
        ),
        cures={
            "true labels": {"labels": "true"},
            "larger rate": {"optimizer": Stepper("adam", 3e-2)},
            "smaller rate": {"optimizer": Stepper("adam", 3e-5)},
        },
    ),
    Patient(
        name="permuted-classes-of-tokens",
        family=fresh,
        settings=_settings(Pooled, Stepper("adam", 1e-2), "tokens", labels="permuted", batch=400),
        cures={
            "true labels": {"labels": "true"},
            "larger rate": {"optimizer": Stepper("adam", 1e-1)},
            "smaller rate": {"optimizer": Stepper("adam", 1e-4)},
        },
    ),
    Patient(
        name="attention-pooling",
        family=fresh,
        settings=_settings(Pooled, Stepper("adam", 1e-2), "tokens", batch=400),
    ),
    Patient(
        name="encoder-without-a-gradient",
        family=fresh,
        settings=_settings(Narrow, Stepper("adam", 1e-2)),
        cures={
            "reattached": {"blocked": False},
            "larger rate": {"optimizer": Stepper("adam", 1e-1)},
            "smaller rate": {"optimizer": Stepper("adam", 1e-4)},
        },
        goal=0.6,
    ),
    Patient(
        name="logarithm-of-a-softmax",
        family=fresh,
        settings=_settings(
            Narrow, Stepper("adam", 1e-2), blocked=False, safe=False, temperature=1e-3
        ),
        cures={
            "finite": {"safe": True},
            "smaller rate": {"optimizer": Stepper("adam", 1e-4)},
            "larger rate": {"optimizer": Stepper("adam", 1e-1)},
        },
        steps=400,
        goal=0.9,
    ),
    Patient(
        name="only-biases-in-the-optimizer",
        family=fresh,
        settings=_settings(WeightNormed, Other("adam", 1e-3, only=1), depth=3),
        cures={
            "all held": {"optimizer": Other("adam", 1e-2)},
            "larger rate": {"optimizer": Other("adam", 1e-1, only=1)},
            "smaller rate": {"optimizer": Other("adam", 1e-5, only=1)},
        },
    ),
    Patient(
        name="likelihood-below-zero",
        family=fresh,
        settings=_settings(Gaussian, Stepper("adam", 3e-3), "waves", kind="likelihood"),
        steps=300,
    ),
]  # fmt: skip
