"""Reference networks with their skip connections, and the same without."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._dense._paths import explain_path
    from ._densenet import DenseNet
    from ._densenet_sizes import (
        cifar_densenet,
        densenet121,
        densenet161,
        densenet169,
        densenet201,
        densenet264,
    )
    from ._lean import lean
    from ._load_weights import load_weights

# The names are imported on first use: a ResNet does not wait for DenseNet.
_HOMES = {
    "_dense._paths": ["explain_path"],
    "_densenet": ["DenseNet"],
    "_densenet_sizes": [
        "cifar_densenet",
        "densenet121",
        "densenet161",
        "densenet169",
        "densenet201",
        "densenet264",
    ],
    "_lean": ["lean"],
    "_load_weights": ["load_weights"],
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "DenseNet",
    "cifar_densenet",
    "densenet121",
    "densenet161",
    "densenet169",
    "densenet201",
    "densenet264",
    "explain_path",
    "lean",
    "load_weights",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module 'skipway.models' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
