"""Dense blocks and transitions folded for good: what `models.fold` puts in their place.

Their modules compute the same by torch's own operations, under a compiler or where somebody
watches or needs a gradient. In a plain call the block runs on one buffer, as in `_folded`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from .._dense._folded import FoldedStep, exact_fold, folded_features
from .._dense._matrix import Workspace, to_image, to_rows
from .._dense._parts import Layer, Tail
from .._dense._products import product
from .._dense._tail import POOL, transition_rows
from .._ordinary import any_watched, needs_gradient, unusual_input, unusual_weights
from .._paths import BlockPath
from ._packed import Twice, kind_of, may_pack, pack_layer


class ScaleShiftReLU(nn.Module):
    """`relu(x * scale + shift)`, a scale and a shift for each channel: a norm in inference.

    Shape:
        `(batch, channels, *sizes)` to the same.
    """

    def __init__(self, norm: Any, dims: int) -> None:
        super().__init__()
        shape = -1, *(1,) * dims
        scale, shift = (each.to(norm.weight.dtype).view(shape) for each in exact_fold(norm))
        self.scale = nn.Parameter(scale, requires_grad=False)
        self.shift = nn.Parameter(shift, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.shift, x, self.scale).relu_()


class FoldedLayer(nn.Sequential):
    """One layer without norms: `norm1`, `conv1`, `relu2`, `conv2`, or the first and last alone."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.norm1 = ScaleShiftReLU(layer.norms[0], layer.convolutions[0].weight.dim() - 2)
        if len(layer.norms) == 2:
            self.conv1 = _convolution(layer.convolutions[0], *exact_fold(layer.norms[1]))
            self.relu2 = nn.ReLU()
        self.conv2 = _convolution(layer.convolutions[-1])

    def step(self, read: slice, write: slice) -> FoldedStep:
        """Return the layer as one step over the block's buffer."""
        own: dict[str, Any] = self._modules
        norm, last = own["norm1"], own["conv2"]
        scale, shift = norm.scale.flatten(), norm.shift.flatten()
        expansion, bias = None, None
        if "conv1" in own:
            expansion, bias = own["conv1"].weight.flatten(1), own["conv1"].bias
        weight = last.weight.detach()
        return FoldedStep(read, write, scale, shift, expansion, bias, weight, last.padding)


class FoldedBlock(nn.Sequential):
    """A dense block without norms.

    Args:
        layers: what it is made of.
        prepend: whether a layer puts its features before what it has read, not behind.
    """

    latest_path = BlockPath("", None)

    def __init__(self, layers: tuple[Layer, ...], *, prepend: bool) -> None:
        super().__init__(*map(FoldedLayer, layers))
        self.prepend = prepend
        self.kept: Twice[list[FoldedStep]] | None = None
        self.widths = [layer.norms[0].num_features for layer in layers]
        self.widths.append(self.widths[-1] + layers[-1].convolutions[-1].out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the input's features with those of every layer."""
        if torch.compiler.is_compiling():
            return self._run_modules(x)
        reason = self._unusual(x)
        self.latest_path = BlockPath("", "plain" if reason else "folded", reason)
        if reason:
            return self._run_modules(x)
        width = self.widths[-1]
        start = width - self.widths[0] if self.prepend else 0
        given = slice(start, start + self.widths[0])
        features = folded_features(self._ready_steps(x), x, given, width)
        return to_image(features, x.shape[0], tuple(x.shape[2:]))

    def _unusual(self, x: Tensor) -> str:
        return "a layer has a hook" if any(map(any_watched, self)) else _unusual(x, self)

    def _ready_steps(self, x: Tensor) -> list[FoldedStep]:
        """Return the steps, with packed weights where they serve."""
        own = list(self.parameters())
        if self.kept is None or not may_pack(x, own):
            return self._steps()
        return self.kept.get(kind_of(x, own), lambda: self._packed_steps(x)) or self._steps()

    def _packed_steps(self, x: Tensor) -> list[FoldedStep]:
        return [
            replace(step, packed=pack_layer(step.expansion, step.convolution, step.padding, x))
            for step in self._steps()
        ]

    def _steps(self) -> list[FoldedStep]:
        steps, total = [], self.widths[-1]
        layers: Iterator[Any] = iter(self)
        for layer, (width, wider) in zip(layers, pairwise(self.widths), strict=True):
            read, write = slice(0, width), slice(width, wider)
            if self.prepend:
                read, write = slice(total - width, total), slice(total - wider, total - width)
            steps.append(layer.step(read, write))
        return steps

    def _run_modules(self, x: Tensor) -> Tensor:
        for layer in self:
            x = torch.cat([layer(x), x] if self.prepend else [x, layer(x)], 1)
        return x


class FoldedTransition(nn.Module):
    """Norm, ReLU, 1 × 1 convolution and mean over 2 × 2, the mean before the convolution.

    Both are linear, so the result is the same, with a quarter of the products.
    """

    def __init__(self, tail: Tail) -> None:
        super().__init__()
        self.dims = tail.convolution.weight.dim() - 2
        self.norm = ScaleShiftReLU(tail.norm, self.dims)
        self.conv = _convolution(tail.convolution)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, out, *halved sizes)`."""
        if torch.compiler.is_compiling() or self._unusual(x):
            pooled: Tensor = self.conv(POOL[self.dims - 1](self.norm(x), 2))
            return pooled
        batch, sizes = x.shape[0], tuple(x.shape[2:])
        scale, shift = self.norm.scale.flatten(), self.norm.shift.flatten()
        rows = transition_rows(to_rows(x), scale, shift, batch, sizes, Workspace(x))
        halved = tuple(size // 2 for size in sizes)
        return to_image(product(rows, self.conv.weight), batch, halved)

    def _unusual(self, x: Tensor) -> bool:
        hooked = any_watched(self.norm) or any_watched(self.conv)
        return hooked or bool(_unusual(x, self)) or min(x.shape[2:]) < 2


def _unusual(x: Tensor, module: nn.Module) -> str:
    """Return why torch's own modules have to run on `x`; empty where they need not."""
    if reason := unusual_input(x):
        return reason
    own = list(module.parameters())
    if reason := unusual_weights(x, own):
        return f"a layer {reason}"
    return "a gradient is needed" if needs_gradient(x, own) else ""


def _convolution(old: Any, scale: Tensor | None = None, shift: Tensor | None = None) -> Any:
    """Return a copy of a convolution, with the norm behind it folded in where one is given."""
    new = copy.deepcopy(old)
    weight = old.weight.detach()
    if scale is not None:
        weight = (weight.double() * scale.view(-1, *(1,) * (weight.dim() - 1))).to(weight.dtype)
    new.weight = nn.Parameter(weight, requires_grad=False)
    if shift is not None:
        new.bias = nn.Parameter(shift.to(weight.dtype), requires_grad=False)
    return new
