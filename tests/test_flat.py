"""Units that are off, values on flat ends: against the slope that autograd gives."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skipway import diagnose
from skipway._trace import _flat

LOWER: dict[str, nn.Module] = {
    "relu": nn.ReLU(), "gelu": nn.GELU(), "silu": nn.SiLU(), "mish": nn.Mish(),
    "softplus": nn.Softplus(), "sharp softplus": nn.Softplus(beta=4), "elu": nn.ELU(),
    "selu": nn.SELU(), "celu": nn.CELU(), "wide celu": nn.CELU(alpha=2),
    "hardswish": nn.Hardswish(),
}  # fmt: skip
BOTH: dict[str, nn.Module] = {
    "tanh": nn.Tanh(), "sigmoid": nn.Sigmoid(), "hardtanh": nn.Hardtanh(),
    "wide hardtanh": nn.Hardtanh(-2, 3), "hardsigmoid": nn.Hardsigmoid(), "softsign": nn.Softsign(),
}  # fmt: skip


def slope(act: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    (found,) = torch.autograd.grad(act(x).sum(), x)
    return found.abs()


def steepest(act: Callable[[Tensor], Tensor]) -> float:
    return float(slope(act, torch.linspace(-12, 12, 24_001, dtype=torch.float64)).max())


class Between(nn.Module):
    """A layer whose outputs are the given values, an activation, and a layer behind it."""

    def __init__(self, act: nn.Module, inputs: int) -> None:
        super().__init__()
        self.first, self.act, self.last = nn.Linear(inputs, inputs), act, nn.Linear(inputs, 2)
        with torch.no_grad():
            self.first.weight.copy_(torch.eye(inputs))
            self.first.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.act(self.first(x)))


def read(act: nn.Module, values: Tensor) -> tuple[float | None, float | None]:
    found = diagnose(
        Between(act, values.shape[1]).to(values), (values, torch.arange(len(values)) % 2),
        F.cross_entropy,
    ).layer("first")  # fmt: skip
    return found.silent, found.saturated


@pytest.mark.parametrize("name", LOWER)
def test_a_unit_is_off_where_no_sample_finds_a_slope(name):
    act = LOWER[name]
    torch.manual_seed(0)
    middles = torch.linspace(-13, 2, 45, dtype=torch.float64)
    values = middles + torch.rand(16, 45, dtype=torch.float64) / 2
    off = (slope(act, values) < _flat.FLAT * steepest(act)).all(0)
    # A slope that crosses zero between two humps is no flat end.
    off &= values.max(0).values < -1.5 if name in ("gelu", "silu", "mish") else True
    silent, saturated = read(act, values)
    assert silent == pytest.approx(float(off.double().mean()), abs=1 / 45 + 1e-9)
    assert 0 < silent < 1
    assert saturated is None


@pytest.mark.parametrize("name", BOTH)
def test_a_value_is_saturated_where_the_slope_is_gone(name):
    act = BOTH[name]
    values = torch.linspace(-14, 14, 640, dtype=torch.float64).reshape(16, 40)
    flat = slope(act, values) < _flat.FLAT * steepest(act)
    silent, saturated = read(act, values)
    assert saturated == pytest.approx(float(flat.double().mean()), abs=0.01)
    assert 0 < saturated < 1
    assert silent is None


@pytest.mark.parametrize("kind", [nn.ELU, nn.Hardswish, nn.ReLU, nn.ReLU6])
def test_in_place_says_the_same(kind):
    values = torch.linspace(-9, 9, 320, dtype=torch.float64).reshape(20, 16).t().contiguous()
    assert read(kind(inplace=True), values) == read(kind(), values)


def test_in_place_where_the_input_is_gone_says_nothing():
    values = torch.linspace(-9, 9, 320, dtype=torch.float64).reshape(20, 16).t().contiguous()
    assert read(nn.SiLU(inplace=True), values) == (None, None)
    assert read(nn.SiLU(), values)[0] is not None


@pytest.mark.parametrize("act", [nn.GELU(), nn.SiLU(), nn.Softplus()])
@pytest.mark.parametrize("where", [0, 2, slice(None)])
def test_units_of_a_smooth_activation_that_are_off_are_dead(act, where):
    torch.manual_seed(0)
    layers = [nn.Linear(16, 32), *(nn.Linear(32, 32) for _ in range(2))]
    last = nn.Linear(32, 4)
    for layer in layers if isinstance(where, slice) else [layers[where]]:
        nn.init.constant_(layer.bias, -25.0)
    model = nn.Sequential(*(m for layer in layers for m in (layer, act)), last)
    inputs = torch.randn(64, 16)
    found = diagnose(model, (inputs, inputs[:, :4].argmax(1)), F.cross_entropy)
    assert found.cause == "dead-units"
    names = [str(2 * at) for at in ([0, 1, 2] if isinstance(where, slice) else [where])]
    assert set(names) <= set(found.findings[0].layers)
