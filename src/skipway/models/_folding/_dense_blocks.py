"""Put folded dense blocks and transitions in the place of a network's own."""

from __future__ import annotations

from collections import Counter

from torch import nn

from .._dense._parts import Layer, Tail, read_layers, read_tail
from .._dense._plan import Refused, check_convolution, check_layers
from .._dense._recognise import find_blocks
from .._ordinary import is_watched, unusual_norm
from ._dense_modules import FoldedBlock, FoldedTransition


def fold_dense(model: nn.Module, uses: Counter[int]) -> tuple[nn.Module, int]:
    """Fold the dense blocks of a model in eval mode, and the transitions between them.

    Args:
        model: is changed.
        uses: in how many places each module stands, by id.

    Returns:
        The model, another one where it is a dense block itself; and how much was folded.
    """
    new: dict[str, nn.Module] = {}
    for name, prepend in find_blocks(model).blocks.items():
        block = model.get_submodule(name)
        layers = read_layers(block)
        if layers is not None and _may_fold(block, layers, uses):
            new[name] = FoldedBlock(layers, prepend=prepend)
    if not new:
        return model, 0
    for name, module in model.named_modules():
        tail = read_tail([module]) if type(module).forward is nn.Sequential.forward else None
        if tail is not None and _may_fold_tail(module, tail, uses):
            new[name] = FoldedTransition(tail)
    for name, module in new.items():
        module.eval()
        if not name:
            return module, 1
        owner, _, own = name.rpartition(".")
        model.get_submodule(owner)._modules[own] = module
    return model, len(new)


def _may_fold(block: nn.Module, layers: tuple[Layer, ...], uses: Counter[int]) -> bool:
    first = layers[0]
    try:
        check_layers(layers, first.norms[0].num_features, first.convolutions[0].weight.dim() - 2)
    except Refused:
        return False
    norms = [norm for layer in layers for norm in layer.norms]
    return _alone(block, uses) and not any(map(unusual_norm, norms))


def _may_fold_tail(module: nn.Module, tail: Tail, uses: Counter[int]) -> bool:
    if tail.convolution is None or unusual_norm(tail.norm):
        return False
    try:
        check_convolution(tail.convolution, tail.convolution.weight.dim() - 2)
    except Refused:
        return False
    return set(tail.convolution.kernel_size) == {1} and _alone(module, uses)


def _alone(module: nn.Module, uses: Counter[int]) -> bool:
    """Tell whether nobody watches this module or uses one of its parts in another place too."""
    parts = list(module.modules())
    return not any(uses[id(part)] > 1 or is_watched(part) for part in parts)
