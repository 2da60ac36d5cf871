"""`DenseNet`: a network of dense blocks, or its plain twin."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from .._errors import SkipwayError
from ._dense._plan import Memory
from ._dense._run import ChoosesPath, DenseFeatures
from ._dense_layers import DenseBlock, PlainBlock, Transition
from ._paths import Paths, explain_path
from ._plain_twin import plain_growths


class DenseNet(nn.Module):
    """A DenseNet: every layer of a block reads the features of all layers before it.

    `x_l = H_l([x_0, x_1, ..., x_{l-1}])`, with `H` norm, ReLU and convolution (Huang et al. 2016,
    arXiv:1608.06993). The names in `state_dict` are torchvision's.

    A block has three ways to compute that, which give the same numbers up to rounding:

    - `memory="fast"`: nothing is concatenated; each layer reads columns of one buffer that holds
      the features normalised. What a norm makes of them is computed again in the backward.
    - `memory="lean"`: the bottlenecks are computed again as well. Slower, and smaller still.
    - `memory="plain"`: the modules one by one, as torchvision does.

    Where a block cannot be sure of the same numbers (a hook on an inner layer, gradients in eval
    mode, autocast, dropout, unusual norms, a function transform) it takes the plain way for that
    call; `explain_path()` says which way and why. In eval mode without gradients norms are folded.

    Args:
        growth_rate: `k`, how many features a layer adds.
        blocks: how many layers each block has.
        initial: channels of the stem.
        bottleneck: width of a layer's 1 × 1 convolution in units of `k`; None for none (DenseNet
            without B).
        reduction: which share of the channels a transition keeps.
        stem: `"imagenet"` is a 7 × 7 convolution with stride 2, norm, ReLU and max-pool; `"cifar"`
            is a 3 × 3 convolution.
        num_classes: how many outputs.
        in_channels: of the images.
        drop_rate: of the features a layer adds.
        memory: `"fast"`, `"lean"` or `"plain"`; may be set at any time.
        plain: build the twin without concatenations: the same stem, depth, transitions, kinds of
            layers and resolutions, but each layer reads only the one before it. Its layers are
            wider, so that the number of parameters is the same within a few tenths of a percent.

    Shape:
        `(batch, in_channels, height, width)` to `(batch, num_classes)`.

    Raises:
        SkipwayError: for sizes that make no network.

    Example:
        >>> import torch
        >>> net = DenseNet(8, (2, 2), initial=16, stem="cifar", num_classes=10)
        >>> net(torch.randn(4, 3, 16, 16)).shape
        torch.Size([4, 10])
    """

    def __init__(
        self,
        growth_rate: int,
        blocks: tuple[int, ...],
        *,
        initial: int,
        bottleneck: int | None = 4,
        reduction: float = 0.5,
        stem: Literal["imagenet", "cifar"] = "imagenet",
        num_classes: int = 1000,
        in_channels: int = 3,
        drop_rate: float = 0.0,
        memory: Memory = "fast",
        plain: bool = False,
    ) -> None:
        super().__init__()
        _check(growth_rate, blocks, reduction, drop_rate, stem)
        self.features = DenseFeatures()
        _add_stem(self.features, stem, in_channels, initial)
        twin = plain_growths(growth_rate, blocks, initial, bottleneck, reduction, num_classes)
        width = initial
        for i, count in enumerate(blocks):
            dense = width + count * growth_rate
            block: nn.Module
            if plain:
                block, made = PlainBlock(width, twin[i], bottleneck, drop_rate), twin[i][-1]
            else:
                block = DenseBlock(width, growth_rate, count, bottleneck, drop_rate)
                made = dense
            self.features.add_module(f"denseblock{i + 1}", block)
            width = int(dense * reduction)
            if i < len(blocks) - 1:
                self.features.add_module(f"transition{i + 1}", Transition(made, width))
        self.features.add_module("norm5", nn.BatchNorm2d(made))
        self.classifier = nn.Linear(made, num_classes)
        _initialise(self)
        self.memory = memory

    @property
    def memory(self) -> Memory:
        """Which way its blocks take where they can: `"fast"`, `"lean"` or `"plain"`."""
        return self.features.memory

    @memory.setter
    def memory(self, memory: Memory) -> None:
        set_memory(self, memory)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of a batch of images."""
        features = F.relu(self.features(x))
        logits: Tensor = self.classifier(features.mean((2, 3)))
        return logits

    def explain_path(self) -> Paths:
        """Say which way each dense block took in the latest call, and why."""
        return explain_path(self)


def set_memory(model: nn.Module, memory: Memory) -> None:
    """Let all dense blocks in `model` take another way.

    Raises:
        SkipwayError: there is no such way.
    """
    if memory not in ("fast", "lean", "plain"):
        raise SkipwayError(
            f'There is no memory={memory!r}; give "fast", "lean" or "plain".',
            page="models#less-memory",
        )
    for module in model.modules():
        if isinstance(module, (ChoosesPath, DenseFeatures)):
            module.memory = memory


def _add_stem(features: nn.Sequential, stem: str, in_channels: int, initial: int) -> None:
    if stem == "cifar":
        features.add_module("conv0", nn.Conv2d(in_channels, initial, 3, padding=1, bias=False))
        return
    features.add_module("conv0", nn.Conv2d(in_channels, initial, 7, 2, 3, bias=False))
    features.add_module("norm0", nn.BatchNorm2d(initial))
    features.add_module("relu0", nn.ReLU(inplace=True))
    features.add_module("pool0", nn.MaxPool2d(3, 2, 1))


def _initialise(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
        elif isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)


def _check(
    growth_rate: int, blocks: tuple[int, ...], reduction: float, drop_rate: float, stem: str
) -> None:
    if growth_rate < 1 or not blocks or min(blocks) < 1:
        raise SkipwayError(
            f"A DenseNet of blocks {blocks} with growth rate {growth_rate} has no features to "
            "add; give at least one block, and at least 1 for each.",
            page="models#which-there-are",
        )
    if not 0 < reduction <= 1:
        raise SkipwayError(
            f"A transition keeps a share in (0, 1] of the channels, not {reduction}.",
            page="models#which-there-are",
        )
    if not 0 <= drop_rate < 1:
        raise SkipwayError(
            f"A drop rate lies in [0, 1), not {drop_rate}.", page="models#which-there-are"
        )
    if stem not in ("imagenet", "cifar"):
        raise SkipwayError(
            f'There is no stem {stem!r}; give "imagenet" or "cifar".', page="models#which-there-are"
        )
