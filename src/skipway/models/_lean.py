"""`lean`: the fast dense blocks for a DenseNet that somebody else has written."""

from __future__ import annotations

import copy
import warnings
from typing import Any

from torch import nn

from .._errors import ModelError
from ._dense._plan import Memory
from ._dense._recognise import find_blocks
from ._dense._run import ChoosesPath, DenseFeatures
from ._densenet import set_memory
from ._given import must_be_module, must_not_be_compiled
from ._lean_class import lean_class
from ._paths import BlockPath


def lean(model: nn.Module, *, memory: Memory = "lean") -> nn.Module:
    """Return a copy of `model` whose dense blocks are computed without concatenations.

    Dense blocks are recognised by what they are made of, and then by what they compute: a copy of
    each is run on random numbers, and only if they agree with dense connectivity, in training and
    in eval mode, is the block taken. Blocks of torchvision, timm, MONAI (images in one, two and
    three dimensions) and of many a repository pass: norm, ReLU and convolution, with or without a
    bottleneck, the new features behind the old ones or before them.

    Classes, attributes, names and values of `state_dict` stay; `isinstance`, `deepcopy` and
    `pickle` work. Each block still decides per call, see `DenseNet`, and `models.explain_path`
    says how.

    Args:
        model: it is not changed.
        memory: `"lean"`, `"fast"` or `"plain"`.

    Raises:
        ModelError: nothing in the model is a dense block, or it is no model, or a compiled one.

    Example:
        >>> import torch
        >>> from skipway import models
        >>> class Layer(torch.nn.Module):
        ...     def __init__(self, width):
        ...         super().__init__()
        ...         self.bn = torch.nn.BatchNorm2d(width)
        ...         self.conv = torch.nn.Conv2d(width, 4, 3, padding=1, bias=False)
        ...     def forward(self, x):
        ...         return torch.cat([x, self.conv(self.bn(x).relu())], 1)
        >>> mine = torch.nn.Sequential(torch.nn.Sequential(Layer(8), Layer(12), Layer(16)))
        >>> leaner = lean(mine)
        >>> leaner(torch.randn(2, 8, 6, 6)).shape
        torch.Size([2, 20, 6, 6])
        >>> print(models.explain_path(leaner))
        0: lean, what is cheap to compute is computed again in the backward
    """
    must_be_module("lean", model)
    must_not_be_compiled("lean", model)
    new = _copy(model)
    found = find_blocks(new)
    if not found.blocks:
        raise ModelError(_nothing(model, found.doubts), page="models#your-own-densenet")
    for name, prepend in found.blocks.items():
        if not _is_block(block := new.get_submodule(name)):
            _let_choose(block, prepend)
    for doubt in found.doubts:
        warnings.warn(f"{doubt} It stays as it is.", stacklevel=2)
    for module in list(new.modules()):
        if type(module) is nn.Sequential and any(map(_is_block, module.children())):
            module.__class__ = DenseFeatures
        if isinstance(module, ChoosesPath):
            module.latest_path = BlockPath("", None)
    set_memory(new, memory)
    return new


def _is_block(module: nn.Module) -> bool:
    return isinstance(module, ChoosesPath)


def _let_choose(module: Any, prepend: bool) -> None:
    kind: Any = type(module)
    module.__class__ = lean_class(kind)
    module.prepend = prepend


def _copy(model: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(model)
    except (RuntimeError, TypeError, NotImplementedError) as error:
        raise ModelError(
            f"The model cannot be copied: {error}. Make it deep-copyable.",
            page="models#your-own-densenet",
        ) from error


def _nothing(model: nn.Module, doubts: list[str]) -> str:
    words = " ".join(doubts) or (
        "A dense block is a module of layers, each batch norm, ReLU and convolution, once or twice "
        "(the first 1 × 1), without bias, that read all features before them."
    )
    others = _other_kinds(model)
    seen = f" This model has {', '.join(others)}." if others and not doubts else ""
    return (
        f"There is no dense block in this {type(model).__name__} that can be taken. {words}{seen}"
    )


def _other_kinds(model: nn.Module) -> list[str]:
    """Return the norms and activations that are no batch norm and no ReLU: they are why, often."""
    homes = ("activation", "batchnorm", "instancenorm", "normalization")
    kinds = {
        type(module).__name__
        for module in model.modules()
        if type(module).__module__ in {f"torch.nn.modules.{home}" for home in homes}
    }
    return sorted(kinds - {"BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "ReLU"})
