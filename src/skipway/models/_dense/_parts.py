"""What a dense block is made of, read from its modules: layers, and the tail behind it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)
_POOLS = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)


@dataclass(frozen=True)
class Layer:
    """Norm, ReLU, convolution; with a bottleneck once more. `root` is the module around them."""

    root: nn.Module
    norms: tuple[Any, ...]
    convolutions: tuple[Any, ...]
    dropout: float


@dataclass(frozen=True)
class Tail:
    """What reads a block's whole output: a norm, or a transition (norm, ReLU, 1 × 1, pool)."""

    modules: tuple[nn.Module, ...]
    norm: Any
    relu: bool
    convolution: Any = None
    pool: bool = False


def read_layers(block: nn.Module) -> tuple[Layer, ...] | None:
    """Return the layers of a block, or None when one of them is of another kind."""
    layers = []
    for child in _children(block):
        layer = _layer(child)
        if layer is None:
            return None
        layers.append(layer)
    return tuple(layers) or None


def read_tail(modules: list[nn.Module]) -> Tail | None:
    """Return the tail that the modules behind a block begin with, or None."""
    if not modules:
        return None
    if isinstance(modules[0], nn.Sequential):
        return _transition((modules[0],), list(_leaves(modules[0])))
    if is_norm(modules[0]):
        return Tail((modules[0],), modules[0], relu=has_relu(modules[0]))
    return None


def is_norm(module: nn.Module) -> bool:
    """Is it a batch norm with torch's own arithmetic (timm's has the ReLU built in)?"""
    return type(module) in NORMS or has_relu(module)


def has_relu(module: nn.Module) -> bool:
    """Is it timm's batch norm with a ReLU in it, and nothing else?"""
    kind = type(module)
    if kind.__name__ != "BatchNormAct2d" or not kind.__module__.startswith("timm."):
        return False
    activation, dropout = getattr(module, "act", None), getattr(module, "drop", None)
    return type(activation) is nn.ReLU and type(dropout) is nn.Identity


def _children(block: nn.Module) -> Iterator[nn.Module]:
    """Yield the layers; many blocks keep them one level deeper, in a single container."""
    children = list(block.children())
    inside = len(children) == 1 and type(children[0]) in (nn.Sequential, nn.ModuleList)
    if inside and type(block) is not nn.Sequential:
        children = list(children[0].children())
    return iter(children)


def _layer(root: nn.Module) -> Layer | None:
    norms, convolutions, kinds = [], [], ""
    dropout = _dropout_of(root)
    for leaf in _leaves(root):
        if is_norm(leaf):
            norms.append(leaf)
            kinds += "n"
        elif type(leaf) in CONVOLUTIONS:
            convolutions.append(leaf)
            kinds += "c"
        elif type(leaf) in _DROPOUTS:
            dropout = max(dropout, float(leaf.p))  # type: ignore[arg-type]
        elif type(leaf) not in (nn.ReLU, nn.Identity):
            return None
    if kinds not in ("nc", "ncnc"):
        return None
    return Layer(root, tuple(norms), tuple(convolutions), dropout)


def _leaves(module: nn.Module) -> Iterator[nn.Module]:
    children = module._modules
    if not children or has_relu(module):
        yield module
        return
    for child in children.values():
        if child is not None:
            yield from _leaves(child)


def _dropout_of(layer: nn.Module) -> float:
    """Return the largest rate that a layer keeps as a number, under whatever name."""
    rates = [
        value
        for name, value in vars(layer).items()
        if "drop" in name and isinstance(value, (int, float)) and not isinstance(value, bool)
    ]
    return max(map(float, rates), default=0.0)


def _transition(modules: tuple[nn.Module, ...], leaves: list[nn.Module]) -> Tail | None:
    leaves = [leaf for leaf in leaves if type(leaf) is not nn.Identity]
    relu = bool(leaves) and has_relu(leaves[0])
    if not relu and len(leaves) == 4 and type(leaves[1]) is nn.ReLU:
        relu = True
        leaves = [leaves[0], *leaves[2:]]
    if len(leaves) != 3 or not relu or not is_norm(leaves[0]):
        return None
    norm, convolution, pool = leaves
    if type(convolution) not in CONVOLUTIONS or not _halves(pool):
        return None
    return Tail(modules, norm, True, convolution, True)


def _halves(pool: Any) -> bool:
    """Is it the mean over 2 × 2 positions? The edge of an odd image is left out."""
    return (
        type(pool) in _POOLS
        and _all(pool.kernel_size, 2)
        and _all(pool.stride, 2)
        and _all(pool.padding, 0)
        and not pool.ceil_mode
        and getattr(pool, "divisor_override", None) is None
    )


def _all(value: Any, expected: int) -> bool:
    values = value if isinstance(value, tuple) else (value,)
    return all(each == expected for each in values)
