"""`fold`: a network for inference, its norms folded into its convolutions."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from ..._errors import SkipError
from ...nn import Add, Merge
from ...nn._fit import cannot_add
from .._dense._folded import exact_fold
from .._dense._run import DenseFeatures
from .._given import must_be_module
from .._ordinary import is_watched
from .._residual_block import ResidualBlock
from .._resnet import ResNet
from ._dense_blocks import fold_dense
from ._dense_modules import FoldedBlock
from ._packed import PackedConv2d, Twice

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)

_TWO = (("conv1", "bn1"), ("conv2", "bn2"))
# Classes outside of this library, by name, so that torchvision need not be there.
_FOREIGN = {
    "torchvision.models.resnet.BasicBlock": _TWO,
    "torchvision.models.resnet.Bottleneck": (*_TWO, ("conv3", "bn3")),
    "torchvision.models.resnet.ResNet": _TWO[:1],
}


def fold(model: nn.Module, *, pack: bool = True) -> nn.Module:
    """Return a copy for inference: norms folded into convolutions, channels last in memory.

    In evaluation mode a batch norm is a scale and a shift for each channel, so the convolution
    before it can do both: `norm(W x) = (s W) x + b`. Folded are the convolutions of this library's
    networks and of torchvision's ResNets that one norm alone reads, those that stand directly
    before a norm in an `nn.Sequential`, and whole dense blocks and transitions, of this library or
    of anybody else (see `models.lean`), each of which runs on one buffer. Everything else stays as
    it is, and so do a norm without running statistics, a module with a hook, and one that is used
    in two places.

    The copy is in evaluation mode, its parameters need no gradient, and it is no network to train
    on: the norms are gone from it, and `state_dict` has other names where a dense block was. New
    values can be loaded or copied into its parameters; of what is written past torch, in place
    through `.data` or NumPy, packed weights do not learn. The outputs are the same up to rounding.
    `model` is not changed.

    Args:
        model: any module.
        pack: on a CPU, at the second call in a row with an input of one size, the weights of
            convolutions of images are packed as oneDNN reads them. For one image that saves a
            third to a half of the time, and it takes the weights' memory once more. Give False
            for `torch.jit.script`, or where memory is short.

    Raises:
        SkipError: there is nothing to fold.

    Example:
        >>> from skipway import models
        >>> model = models.resnet18().eval()
        >>> x = torch.randn(1, 3, 64, 64)
        >>> folded = models.fold(model)
        >>> torch.allclose(folded(x), model(x), atol=1e-4)
        True
        >>> sum(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
        0
    """
    must_be_module("fold", model)
    folded = copy.deepcopy(model).eval().requires_grad_(False)
    uses = Counter(id(module) for _, module in folded.named_modules(remove_duplicate=False))
    folded, count = fold_dense(folded, uses)
    for owner in list(folded.modules()):
        for convolution, norm in _pairs(owner):
            if _may_fold(owner, convolution, norm, uses):
                _fold_pair(owner, convolution, norm)
                count += 1
    if not count:
        raise SkipError(
            f"In this {type(model).__name__} no norm can be folded into a convolution: fold knows "
            "the networks of skipway.models, torchvision's ResNets, dense blocks, and convolutions "
            "directly before their norm in an nn.Sequential.",
            page="models#for-inference",
        )
    _lay_channels_last(folded)
    _add_in_place(folded)
    if pack:
        _let_pack(folded)
    return folded


class _AddInPlace(Merge):
    """`Add`, into the branch's memory: its last convolution has just made it, for nobody else."""

    def forward(self, shortcut: Tensor, branch: Tensor) -> Tensor:
        if isinstance(shortcut, Tensor) and shortcut.shape != branch.shape:
            raise cannot_add(shortcut.shape, branch.shape)
        return branch.add_(shortcut)


def _pairs(owner: nn.Module) -> Iterator[tuple[str, str]]:
    """Yield the names of each convolution and of the norm that alone reads it inside `owner`."""
    kind = type(owner)
    if "forward" in owner.__dict__:
        return
    if kind in (nn.Sequential, DenseFeatures):
        yield from pairwise(owner._modules)
    elif "folds" in kind.__dict__:
        yield from kind.__dict__["folds"]
    else:
        yield from _FOREIGN.get(f"{kind.__module__}.{kind.__qualname__}", ())


def _may_fold(owner: nn.Module, convolution: str, norm: str, uses: Counter[int]) -> bool:
    first, second = owner._modules.get(convolution), owner._modules.get(norm)
    if type(first) not in _CONVOLUTIONS or type(second) not in _NORMS:
        return False
    assert first is not None
    assert isinstance(second, nn.modules.batchnorm._BatchNorm)
    if second.running_mean is None or second.running_var is None:
        return False
    return not any(uses[id(part)] > 1 or is_watched(part) for part in (first, second))


def _fold_pair(owner: nn.Module, convolution: str, norm: str) -> None:
    first: Any = owner._modules[convolution]
    scale, shift = exact_fold(owner._modules[norm])
    weight = first.weight.double() * scale.view(-1, *(1,) * (first.weight.ndim - 1))
    if first.bias is not None:
        shift = shift + first.bias.double() * scale
    first.weight = nn.Parameter(weight.to(first.weight.dtype), requires_grad=False)
    first.bias = nn.Parameter(shift.to(first.weight.dtype), requires_grad=False)
    owner._modules[norm] = nn.Identity()


def _lay_channels_last(model: nn.Module) -> None:
    formats = {nn.Conv2d: torch.channels_last, nn.Conv3d: torch.channels_last_3d}
    for module in model.modules():
        if type(module) in formats:
            weight: Any = module.weight
            weight.data = weight.data.contiguous(memory_format=formats[type(module)])  # type: ignore[index]


def _let_pack(model: nn.Module) -> None:
    for module in model.modules():
        if type(module) is nn.Conv2d:
            module.__class__ = PackedConv2d
        if isinstance(module, (PackedConv2d, FoldedBlock)):
            module.kept = Twice()


def _add_in_place(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, (ResNet, ResidualBlock)):
            module.memory = "plain"
        if isinstance(module, ResidualBlock) and _may_add_in_place(module):
            module.add = _AddInPlace()


def _may_add_in_place(block: ResidualBlock) -> bool:
    """Is the sum a plain one, and the branch a tensor that a convolution has just made?"""
    if type(block.add) is not Add or is_watched(block.add):
        return False
    end, before = block.branch_end(), block.get_submodule(block.folds[-1][0])
    convolved = nn.Conv2d in (type(end), type(before) if type(end) is nn.Identity else None)
    return convolved and not is_watched(end) and not is_watched(before)
