"""Random module trees: rewire raises its own error, or closed skips change nothing."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from pasted import pasted
from skipway import SkipwayError, rewire

WIDTH = 4


class Loop(nn.Module):
    def __init__(self, parts: list[nn.Module]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, x: Tensor) -> Tensor:
        for part in self.parts:
            x = part(x)
        return x


class Functional(nn.Module):
    """Activations and dropout as functions, one of them in place."""

    def __init__(self, parts: list[nn.Module]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, x: Tensor) -> Tensor:
        for number, part in enumerate(self.parts):
            x = part(F.dropout(x, 0.2, self.training))
            x = F.relu(x, inplace=True) if number % 2 else torch.tanh(x)
        return x


class Residual(nn.Module):
    def __init__(self, parts: list[nn.Module]) -> None:
        super().__init__()
        self.body = nn.Sequential(*parts)

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        y += x
        return y


class Parallel(nn.Module):
    def __init__(self, parts: list[nn.Module]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([part(x) for part in self.parts]).mean(0)


class Tupled(nn.Module):
    """Hands on more than one tensor."""

    def __init__(self, parts: list[nn.Module]) -> None:
        super().__init__()
        self.inner = _Both(parts)

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.inner(x)
        return a * torch.sigmoid(b)


class _Both(nn.Module):
    def __init__(self, parts: list[nn.Module]) -> None:
        super().__init__()
        self.body = nn.Sequential(*parts)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.body(x), x


class Shared(nn.Module):
    def __init__(self, parts: list[nn.Module]) -> None:
        super().__init__()
        self.part = nn.Sequential(*parts)

    def forward(self, x: Tensor) -> Tensor:
        return self.part(torch.tanh(self.part(x)))


class Looking(nn.Module):
    """What it does depends on the data."""

    def __init__(self, parts: list[nn.Module]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, x: Tensor) -> Tensor:
        for part in self.parts:
            x = part(x) if bool(x.sum() < 1e9) else x
        return x


class Recomputed(nn.Module):
    def __init__(self, parts: list[nn.Module]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, x: Tensor) -> Tensor:
        for part in self.parts:
            x = checkpoint(part, x, use_reentrant=False)
        return x


def _sequential(parts: list[nn.Module]) -> nn.Module:
    return nn.Sequential(*parts)


Spec = Any
KINDS: list[Callable[[list[nn.Module]], nn.Module]] = [
    _sequential, _sequential, Loop, Functional, Residual, Parallel, Tupled, Shared, Looking,
    Recomputed,
]  # fmt: skip
FLAT: dict[str, Callable[[], nn.Module]] = {
    "layer": lambda: nn.Linear(WIDTH, WIDTH),
    "wide": lambda: nn.Sequential(nn.Linear(WIDTH, 6), nn.Linear(6, WIDTH)),
    "norm": lambda: nn.LayerNorm(WIDTH),
    "batch norm": lambda: nn.BatchNorm1d(WIDTH),
    "relu": lambda: nn.ReLU(inplace=True),
    "tanh": nn.Tanh,
    "dropout": lambda: nn.Dropout(0.3),
}
IMAGES: dict[str, Callable[[], nn.Module]] = {
    "layer": lambda: nn.Conv2d(WIDTH, WIDTH, 3, padding=1),
    "wide": lambda: nn.Sequential(nn.Conv2d(WIDTH, 6, 3, 2, 1), nn.ConvTranspose2d(6, WIDTH, 2, 2)),
    "norm": lambda: nn.GroupNorm(2, WIDTH),
    "batch norm": lambda: nn.BatchNorm2d(WIDTH),
    "relu": lambda: nn.ReLU(inplace=True),
    "tanh": nn.Tanh,
    "dropout": lambda: nn.Dropout2d(0.3),
}

leaves = st.sampled_from(["layer"] * 6 + ["wide", "norm", "batch norm", "relu", "tanh", "dropout"])
trees: st.SearchStrategy[Spec] = st.recursive(
    leaves,
    lambda inner: st.tuples(st.sampled_from(KINDS), st.lists(inner, min_size=1, max_size=6)),
    max_leaves=24,
)


def _build(spec: Spec, made: dict[str, Callable[[], nn.Module]]) -> nn.Module:
    if isinstance(spec, str):
        return made[spec]()
    kind, parts = spec
    return kind([_build(part, made) for part in parts])


def _run(model: nn.Module, x: Tensor, training: bool) -> Tensor:
    torch.manual_seed(5)
    return copy.deepcopy(model).train(training)(x)


def _has_gradients(net: nn.Module, x: Tensor) -> bool:
    """Whether the plain network can be trained: two in-place activations in a row cannot."""
    try:
        _run(net, x, net.training).square().sum().backward()
    except RuntimeError:
        return False
    return True


@settings(
    max_examples=40, deadline=None, suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)  # fmt: skip
@given(
    spec=st.lists(trees, min_size=2, max_size=5),
    how=st.sampled_from(["add", "cat", "dense"]),
    images=st.booleans(),
    training=st.booleans(),
)
def test_closed_skips_change_nothing_and_taken_away_they_leave_nothing(
    spec: Spec, how: Any, images: bool, training: bool
) -> None:
    torch.manual_seed(0)
    made = IMAGES if images else FLAT
    head: list[nn.Module] = [nn.Flatten(), nn.LazyLinear(3)]
    net = nn.Sequential(*(_build(each, made) for each in spec), *head)
    x = torch.randn(5, WIDTH, 4, 4) if images else torch.randn(5, WIDTH)
    net(x)
    net.train(training)
    try:
        rewiring = rewire(net, x, how=how, preserve=True)
    except SkipwayError as error:
        # It says why, and what to do.
        assert len(str(error)) > 60  # noqa: PT017  # both ends are right
        return
    assert rewiring.model is not None
    for mode in (True, False):
        expected = _run(net, x, mode)
        assert torch.equal(_run(rewiring.model, x, mode), expected)
        assert torch.equal(_run(rewiring.plain(), x, mode), expected)
        twin = pasted(rewiring)
        if twin is not None:
            assert torch.equal(_run(twin, x, mode), expected)
    if not _has_gradients(net, x):
        return
    # Open, every new parameter learns.
    rewiring.model(x).square().sum().backward()
    assert all(parameter.grad is not None for parameter in rewiring.new_parameters())
