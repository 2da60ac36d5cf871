"""Other people's DenseNets, as the tests hold ours against them, and how that is done."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    torchvision: Any = pytest.importorskip("torchvision")

SMALL = {"growth_rate": 4, "block_config": (3, 2), "num_init_features": 8, "num_classes": 5}


def of_torchvision(**changes: Any) -> nn.Module:
    """A small DenseNet of torchvision in float64, with norms that are far from the identity."""
    model: nn.Module = torchvision.models.DenseNet(**{**SMALL, **changes})
    return shaken(model)


def shaken(model: nn.Module) -> nn.Module:
    """Give every norm weights of both signs, shifts and statistics; return it in float64."""
    for module in model.double().modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.affine:
            nn.init.uniform_(module.weight, -1, 1.5)
            nn.init.normal_(module.bias, 0, 0.3)
            if module.running_var is not None:
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.5, 2)
    return model


def images(batch: int = 3, size: int = 32, **options: Any) -> Tensor:
    return torch.randn(batch, 3, size, size, dtype=torch.float64, **options)


def step(
    model: nn.Module, x: Tensor, objective: Callable[..., Tensor] | None = None
) -> list[Tensor]:
    """Run a model forwards and backwards: output, gradients of the input and of all parameters,
    and every buffer afterwards."""
    x = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    out = model(x)
    loss = objective(out) if objective else (out * torch.linspace(-1, 1, out.numel()).view_as(out))
    loss.sum().backward()
    assert x.grad is not None
    gradients = [parameter.grad for parameter in model.parameters()]
    found = [out, x.grad, *gradients, *model.buffers()]
    return [torch.zeros(()) if each is None else each.detach().clone() for each in found]


def assert_same(ours: list[Tensor], theirs: list[Tensor], tolerance: float = 1e-11) -> None:
    """Each tensor agrees up to `tolerance` of its own largest value."""
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert one.shape == other.shape
        bound = tolerance * max(1.0, float(other.abs().max()) if other.numel() else 0.0)
        torch.testing.assert_close(one, other, rtol=0, atol=bound)


def assert_same_step(ours: nn.Module, theirs: nn.Module, x: Tensor, **options: Any) -> None:
    ours, theirs = copy.deepcopy(ours), copy.deepcopy(theirs)
    assert_same(step(ours, x, **options), step(theirs, x, **options))
