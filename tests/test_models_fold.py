"""`fold`: the same outputs without norms, and everything it must not touch left as it is."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from oracle import torchvision
from skipway import models
from skipway._errors import SkipwayError
from skipway.models._folding import _packed
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
    # In each of nine layers the norm between its two convolutions goes.
    "densenet, plain": (
        lambda: models.cifar_densenet(22, 6, bottleneck=True, plain=True), (3, 16, 16), 12,
    ),
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


PACKED: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "resnet50": (lambda: models.resnet50(num_classes=5), (3, 64, 48)),
    "groups": (lambda: models.resnext50_32x4d(num_classes=5), (3, 32, 32)),
    "pre-activated": (lambda: models.resnet18(num_classes=5, preact=True), (3, 33, 32)),
    "torchvision": (lambda: torchvision.models.resnet18(num_classes=5), (3, 32, 32)),
    "unet": (lambda: models.unet(2, 3, width=4, depth=2), (2, 9, 10)),
    "dilated, padded, strided": (
        lambda: nn.Sequential(
            nn.Conv2d(4, 8, (3, 5), (2, 1), (2, 3), (2, 1), 2), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, 8, 3, padding="same"), nn.BatchNorm2d(8),
            nn.Conv2d(8, 2, 3, padding=1, padding_mode="reflect"), nn.BatchNorm2d(2),
        ),
        (4, 11, 9),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PACKED)
@torch.no_grad()
def test_packed_weights_give_the_same(name: str) -> None:
    build, shape = PACKED[name]
    network = _trained(build()).eval()
    folded = models.fold(network.float())
    network = network.double()
    for batch in (1, 2, 1):
        x = torch.randn(batch, *shape)
        expected = network(x.double())
        close = {"rtol": 0.0, "atol": 1e-5 * float(expected.abs().max())}
        for given in (x, x, x.contiguous(memory_format=torch.channels_last), x):
            torch.testing.assert_close(folded(given).double(), expected, **close)


@torch.no_grad()
def test_packed_weights_follow_what_is_loaded_and_do_not_travel() -> None:
    network, other = (_trained(models.cifar_resnet(8)).float().eval() for _ in range(2))
    x = torch.randn(2, 3, 8, 8)
    folded, wanted = models.fold(network), other(x)
    for _ in range(3):
        folded(x)
    twin = copy.deepcopy(folded)
    held = [m.kept._kept for m in folded.modules() if isinstance(m, _packed.PackedConv2d)]
    assert _packed._works() == all(each is not None for each in held)
    folded.load_state_dict(models.fold(other).state_dict())
    for _ in range(3):
        torch.testing.assert_close(folded(x), wanted, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(twin(x), network(x), atol=1e-4, rtol=1e-4)
    seen: list[str] = []
    folded.conv1.register_forward_hook(lambda *_: seen.append("stem"))  # type: ignore[union-attr]
    folded(x)
    assert seen == ["stem"]


@torch.no_grad()
def test_packed_weights_notice_memory_that_comes_back_with_other_weights() -> None:
    x = torch.randn(1, 3, 16, 16)
    for build in (lambda: models.cifar_resnet(8), lambda: models.cifar_densenet(10, 4)):
        folded = models.fold(_trained(build()).float())
        for _ in range(3):
            folded(x)
        for factor in (0.5, 4.0):  # at the second an allocator has the first memory free again
            for weight in folded.parameters():
                weight.data = weight.data * factor
        wanted = copy.deepcopy(folded).double()(x.double())
        close = {"rtol": 0.0, "atol": 1e-5 * float(wanted.abs().max())}
        torch.testing.assert_close(folded(x).double(), wanted, **close)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@torch.no_grad()
def test_unpacked_a_folded_network_is_scripted() -> None:
    network = _trained(torchvision.models.resnet18(num_classes=5)).float().eval()
    folded = models.fold(network, pack=False)
    assert not any(type(module).__name__ == "PackedConv2d" for module in folded.modules())
    x = torch.randn(1, 3, 32, 32)
    scripted = torch.jit.script(folded)  # type: ignore[no-untyped-call]
    torch.testing.assert_close(scripted(x), network(x), atol=1e-4, rtol=1e-4)
    dense = models.fold(_trained(models.cifar_densenet(10, 4)).float(), pack=False)
    assert [dense(x).shape for _ in range(3)] == [(1, 10)] * 3
