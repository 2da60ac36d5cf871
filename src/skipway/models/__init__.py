"""Reference networks with their skip connections, and the same without."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._cifar_resnet import cifar_resnet
    from ._densenet import DenseNet
    from ._densenet_sizes import (
        cifar_densenet,
        densenet121,
        densenet161,
        densenet169,
        densenet201,
        densenet264,
    )
    from ._folding import fold
    from ._lean import lean
    from ._load_weights import load_weights
    from ._paths import explain_path
    from ._resnet import ResNet
    from ._resnet_sizes import (
        resnet18,
        resnet34,
        resnet50,
        resnet101,
        resnet152,
        resnext50_32x4d,
        wide_resnet50_2,
    )
    from ._unet import UNet, unet

# The names are imported on first use: one network does not wait for the others.
_HOMES = {
    "_cifar_resnet": ["cifar_resnet"],
    "_densenet": ["DenseNet"],
    "_densenet_sizes": [
        "cifar_densenet",
        "densenet121",
        "densenet161",
        "densenet169",
        "densenet201",
        "densenet264",
    ],
    "_folding": ["fold"],
    "_lean": ["lean"],
    "_load_weights": ["load_weights"],
    "_paths": ["explain_path"],
    "_resnet": ["ResNet"],
    "_resnet_sizes": [
        "resnet18",
        "resnet34",
        "resnet50",
        "resnet101",
        "resnet152",
        "resnext50_32x4d",
        "wide_resnet50_2",
    ],
    "_unet": ["UNet", "unet"],
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "DenseNet",
    "ResNet",
    "UNet",
    "cifar_densenet",
    "cifar_resnet",
    "densenet121",
    "densenet161",
    "densenet169",
    "densenet201",
    "densenet264",
    "explain_path",
    "fold",
    "lean",
    "load_weights",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "unet",
    "wide_resnet50_2",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module 'skipway.models' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
