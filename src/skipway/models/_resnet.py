"""`ResNet`: a stem, stages of residual blocks, and a classifier."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from .._errors import SkipError
from ..nn import StochasticDepth
from ._paths import ASKED_FOR, BlockPath, Paths, explain_path
from ._recompute import channels_last, norm_relu_pool, why_plain
from ._residual_block import Memory, Pairs, ResidualBlock, convolution

Stem = Literal["imagenet", "cifar"]


_STEM = ("conv1", "bn1", "relu", "maxpool")


class ResNet(nn.Module):
    """A stem, stages of residual blocks, the mean over all positions, and a classifier.

    He et al. 2015, arXiv:1512.03385, table 1; with `preact` He et al. 2016, arXiv:1603.05027.
    The sizes of the papers have names: `resnet50()`, `cifar_resnet(110)`. Parameters and buffers
    are named as torchvision names them, so weights go both ways.

    Args:
        block: makes a block from `(in_channels, width, stride)`.
        blocks: how many, for each stage. Each stage after the first halves the positions and
            doubles the width.
        width: of the first stage.
        num_classes: how many.
        in_channels: of the images.
        stem: `"imagenet"`, a 7 × 7 convolution of stride 2 and a pooling, or `"cifar"`, a 3 × 3
            convolution, for small images.
        preact: whether the blocks are pre-activated ones. Then the stem ends with its convolution
            (and pooling), and a norm and a ReLU follow the last block.
        zero_init_residual: whether each branch starts at zero, so that the network starts shallow
            (Goyal et al. 2017, arXiv:1706.02677).
        drop: stochastic depth: with which probability a sample loses the last branch while
            training; earlier ones less, linearly (Huang et al. 2016, arXiv:1603.09382).
        memory: `"plain"`, or `"lean"`: see `memory` below.

    Attributes:
        memory: `"lean"` keeps less for the backward: norms and ReLUs are computed again there, and
            what is widest in a bottleneck. ResNet-50 keeps 114 MiB instead of 214 for 8 images of
            128 × 128, in about the same time (benchmarks/speed/resnet.json). The results are the
            same up to rounding. Where that is not sure (a hook inside, autocast, a norm in eval
            mode, a compiler) a block runs its modules; `skipway.models.explain_path` says which
            did what. There are no second derivatives on this path: asked for, they are an error.
            It may be set at any time.

    Shape:
        `(batch, in_channels, h, w)` to `(batch, num_classes)`.

    Raises:
        SkipError: an option makes no sense.

    Example:
        >>> from skipway.models import resnet18
        >>> resnet18(num_classes=10, stem="cifar")(torch.randn(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """

    folds: ClassVar[Pairs] = (("conv1", "bn1"),)

    def __init__(
        self,
        block: Callable[[int, int, int], ResidualBlock],
        blocks: Sequence[int],
        *,
        width: int = 64,
        num_classes: int = 1000,
        in_channels: int = 3,
        stem: Stem = "imagenet",
        preact: bool = False,
        zero_init_residual: bool = False,
        drop: float = 0.0,
        memory: Memory = "plain",
    ) -> None:
        super().__init__()
        _check(stem, drop, memory)
        if stem == "imagenet":
            self.conv1 = nn.Conv2d(in_channels, width, 7, 2, padding=3, bias=False)
        else:
            self.conv1 = convolution(in_channels, width, 3)
        self.bn1 = nn.Identity() if preact else nn.BatchNorm2d(width)
        self.relu = nn.Identity() if preact else nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1) if stem == "imagenet" else nn.Identity()
        channels = width
        for index, count in enumerate(blocks):
            stage, channels = _stage(block, channels, width << index, count, 1 + (index > 0))
            self.add_module(f"layer{index + 1}", stage)
        self.bn = nn.BatchNorm2d(channels) if preact else nn.Identity()
        self.last_relu = nn.ReLU(inplace=True) if preact else nn.Identity()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)
        self.latest_path = BlockPath("stem")
        self.memory = memory
        _set_drop(self.blocks(), drop)
        _start(self, zero_init_residual)

    def forward(self, x: Tensor) -> Tensor:
        """Return the classes' scores before the softmax."""
        x = self._stem(x)
        for stage in self.stages():
            x = stage(x)
        x = self.last_relu(self.bn(x))
        y: Tensor = self.fc(torch.flatten(self.avgpool(x), 1))
        return y

    def explain_path(self) -> Paths:
        """Say which way each block took in the latest call, and why."""
        return explain_path(self)

    def stages(self) -> list[nn.Module]:
        """Return `layer1`, `layer2` and so on."""
        return [child for name, child in self.named_children() if name.startswith("layer")]

    def blocks(self) -> list[ResidualBlock]:
        """Return all residual blocks, in order."""
        return [module for module in self.modules() if isinstance(module, ResidualBlock)]

    @property
    def memory(self) -> Memory:
        """`"plain"` or `"lean"`."""
        return self._memory

    @memory.setter
    def memory(self, memory: Memory) -> None:
        _check_memory(memory)
        self._memory: Memory = memory
        for block in self.blocks():
            block.memory = memory

    @property
    def in_one_piece(self) -> tuple[str, ...]:
        """Those of the stem: each block answers for itself, as `OnePiece`."""
        return () if self._memory == "plain" else _STEM

    def _stem(self, x: Tensor) -> Tensor:
        """Return what the first stage reads."""
        if torch.compiler.is_compiling():
            return self._plain_stem(x)
        if self._memory == "plain":
            self.latest_path = ASKED_FOR
            return self._plain_stem(x)
        reason = self._why_plain_stem(x)
        self.latest_path = BlockPath("stem", "plain" if reason else "lean", reason)
        if reason:
            return self._plain_stem(x)
        return norm_relu_pool(self.conv1(channels_last(x)), self.bn1, self.maxpool)

    def _plain_stem(self, x: Tensor) -> Tensor:
        y: Tensor = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return y

    def _why_plain_stem(self, x: Tensor) -> str:
        if not isinstance(self.maxpool, nn.MaxPool2d) or not isinstance(self.bn1, nn.BatchNorm2d):
            return "there is nothing to recompute in a stem without norm and pooling"
        return why_plain(x, [(name, getattr(self, name)) for name in _STEM])


def _stage(
    block: Callable[[int, int, int], ResidualBlock],
    in_channels: int,
    width: int,
    count: int,
    stride: int,
) -> tuple[nn.Sequential, int]:
    """Return one stage and its output channels; its first block changes the shape."""
    first = block(in_channels, width, stride)
    out = width * first.expansion
    return nn.Sequential(first, *(block(out, width, 1) for _ in range(count - 1))), out


def _set_drop(blocks: list[ResidualBlock], last: float) -> None:
    if not last:
        return
    for block, drop in zip(blocks, StochasticDepth.linear(len(blocks), last), strict=True):
        if block.add is None:
            raise SkipError(
                "A plain network has no skips, so a branch cannot be left out: drop=0.",
                page="models#the-plain-twin",
            )
        block.drop = drop


def _start(network: ResNet, zero_init_residual: bool) -> None:
    """Set the start values, in torchvision's order: the same seed gives the same network."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    for block in network.blocks() if zero_init_residual else ():
        if block.add is None:
            raise SkipError(
                "A plain network would be zero at the start: zero_init_residual=False.",
                page="models#the-plain-twin",
            )
        nn.init.zeros_(block.branch_end().weight)  # type: ignore[arg-type]


def _check(stem: str, drop: float, memory: str) -> None:
    if stem not in ("imagenet", "cifar"):
        raise SkipError(
            f"There is no stem {stem!r}; give 'imagenet' or 'cifar'.", page="models#which-there-are"
        )
    if not 0 <= drop < 1:
        raise SkipError(f"drop={drop!r} is no probability below 1.", page="models#which-there-are")
    _check_memory(memory)


def _check_memory(memory: str) -> None:
    if memory not in ("plain", "lean"):
        raise SkipError(
            f"There is no memory={memory!r}; give 'plain' or 'lean'.", page="models#less-memory"
        )
