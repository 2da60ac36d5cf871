"""`fold`: the same outputs without norms, and everything it must not touch left as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from oracle import torchvision
from skipway import models
from skipway._errors import SkipwayError
from snapshot import snapshot

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def _trained(network: nn.Module) -> nn.Module:
    """Give the norms statistics and weights that matter."""
    for module in network.modules():
        if isinstance(module, NORMS) and module.running_mean is not None:
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
            if module.weight is not None:
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias)
    return network.double()


def _norms(network: nn.Module) -> int:
    return sum(isinstance(module, NORMS) for module in network.modules())


# How many norms are left: a pre-activated block's first one reads a sum.
NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], int]] = {
    "resnet18": (lambda: models.resnet18(num_classes=5), (3, 32, 40), 0),
    "resnet50, lean": (lambda: models.resnet50(num_classes=5, memory="lean"), (3, 32, 32), 0),
    "pre-activated": (lambda: models.resnet18(num_classes=5, preact=True), (3, 32, 32), 9),
    "cifar, B": (lambda: models.cifar_resnet(20, option="B"), (3, 16, 16), 0),
    "cifar, plain": (lambda: models.cifar_resnet(20, plain=True), (3, 16, 16), 0),
    "unet": (lambda: models.unet(2, 3, width=4, depth=2), (2, 9, 10), 0),
    "unet, volumes": (lambda: models.unet(2, 3, width=4, depth=1, dims=3), (2, 5, 4, 6), 0),
    "torchvision": (lambda: torchvision.models.resnet18(num_classes=5), (3, 32, 32), 0),
    "torchvision, groups": (
        lambda: torchvision.models.resnext50_32x4d(num_classes=5), (3, 32, 32), 0,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_are_the_same_and_the_model_is_unchanged(name: str) -> None:
    build, shape, left = NETWORKS[name]
    network = _trained(build())
    network.train()
    before = snapshot(network)
    folded = models.fold(network)
    assert snapshot(network) == before
    assert _norms(folded) == left
    assert not folded.training
    assert not any(parameter.requires_grad for parameter in folded.parameters())
    x = torch.randn(2, *shape, dtype=torch.float64)
    torch.testing.assert_close(folded(x), network.eval()(x), atol=1e-9, rtol=1e-9)


def test_a_folded_network_compiles_and_folds_no_second_time() -> None:
    folded = models.fold(models.cifar_resnet(8))
    x = torch.randn(2, 3, 8, 8)
    compiled = torch.compile(folded, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), folded(x))
    with pytest.raises(SkipwayError, match="no norm can be folded"):
        models.fold(folded)


class _Twice(nn.Sequential):
    """A Sequential whose forward is another one."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self[1](self[0](x)) + self[0](x)


def _shared() -> nn.Module:
    convolution = nn.Conv2d(3, 3, 1)
    return nn.Sequential(convolution, nn.BatchNorm2d(3), convolution, nn.BatchNorm2d(3))


def _hooked() -> nn.Module:
    network = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
    network[0].register_forward_hook(lambda *_: None)
    return network


UNTOUCHED: dict[str, Callable[[], nn.Module]] = {
    "a forward of its own": lambda: _Twice(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)),
    "batch statistics": lambda: nn.Sequential(
        nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, track_running_stats=False)
    ),
    "used twice": _shared,
    "a hook": _hooked,
    "a norm first": lambda: nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 1)),
    "an activation between": lambda: nn.Sequential(
        nn.Conv2d(3, 4, 1), nn.ReLU(), nn.BatchNorm2d(4)
    ),
    "weight norm": lambda: nn.Sequential(
        nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 1)), nn.BatchNorm2d(4)
    ),
}


@pytest.mark.parametrize("name", UNTOUCHED)
def test_what_might_differ_is_not_folded(name: str) -> None:
    foldable: Any = nn.Sequential(nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3, affine=False))
    network = _trained(nn.Sequential(foldable, UNTOUCHED[name]()))
    folded = models.fold(network)
    assert _norms(folded) == _norms(network) - 1
    x = torch.randn(2, 3, 6, 6, dtype=torch.float64)
    torch.testing.assert_close(folded(x), network.eval()(x))
