"""The sizes of ResNet, ResNeXt and Wide ResNet for ImageNet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ._basic_block import BasicBlock, PreactBasicBlock
from ._bottleneck import Bottleneck, PreactBottleneck
from ._residual_block import Memory, Option, ResidualBlock, check_option
from ._resnet import ResNet, Stem


@dataclass(frozen=True)
class ResNetSize:
    """One column of a table of sizes; call it for the network.

    Attributes:
        bottleneck: whether a block has three convolutions, the middle one narrow, or two.
        blocks: how many blocks each stage has.
        groups: of the 3 × 3 convolutions.
        base_width: channels of each group in the first stage.
    """

    bottleneck: bool
    blocks: tuple[int, int, int, int]
    groups: int = 1
    base_width: int = 64

    def __call__(
        self,
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        stem: Stem = "imagenet",
        preact: bool = False,
        plain: bool = False,
        option: Option = "B",
        zero_init_residual: bool = False,
        drop: float = 0.0,
        memory: Memory = "plain",
    ) -> ResNet:
        """Return a network of this size.

        Args:
            num_classes: how many.
            in_channels: of the images.
            stem: `"imagenet"` or `"cifar"`, which keeps small images as large as they are.
            preact: whether norm and ReLU come before each convolution.
            plain: whether the skips are left out. The branches stay as they are; with the skips
                their projections go: 173,824 parameters in ResNet-18 and ResNet-34, 2,776,576 in
                all with bottlenecks (172,032 and 2,768,896 pre-activated, where no norm is among
                them). With `option="A"` there is nothing to go, and both have the same parameters.
            option: where the shape changes the skip projects (`"B"`, torchvision's), or brings
                every second position and zeros for the new channels (`"A"`, without a parameter).
            zero_init_residual: whether each branch starts at zero.
            drop: probability of leaving out the last branch; earlier ones less, linearly.
            memory: `"plain"`, or `"lean"` for less memory in training; see `ResNet.memory`.

        Raises:
            SkipError: an option makes no sense.

        Example:
            >>> from skipway.models import resnet18
            >>> sum(parameter.numel() for parameter in resnet18().parameters())
            11689512
            >>> sum(parameter.numel() for parameter in resnet18(plain=True).parameters())
            11515688
        """
        return ResNet(
            self._block(preact, option, skip=not plain),
            self.blocks,
            num_classes=num_classes,
            in_channels=in_channels,
            stem=stem,
            preact=preact,
            zero_init_residual=zero_init_residual,
            drop=drop,
            memory=memory,
        )

    def _block(
        self, preact: bool, option: Option, skip: bool
    ) -> Callable[[int, int, int], ResidualBlock]:
        check_option(option)
        if not self.bottleneck:
            return partial(PreactBasicBlock if preact else BasicBlock, option=option, skip=skip)
        return partial(
            PreactBottleneck if preact else Bottleneck,
            option=option,
            skip=skip,
            groups=self.groups,
            base_width=self.base_width,
        )


# He et al. 2015, arXiv:1512.03385, table 1.
resnet18 = ResNetSize(bottleneck=False, blocks=(2, 2, 2, 2))
resnet34 = ResNetSize(bottleneck=False, blocks=(3, 4, 6, 3))
resnet50 = ResNetSize(bottleneck=True, blocks=(3, 4, 6, 3))
resnet101 = ResNetSize(bottleneck=True, blocks=(3, 4, 23, 3))
resnet152 = ResNetSize(bottleneck=True, blocks=(3, 8, 36, 3))

# Xie et al. 2016, arXiv:1611.05431, table 1: 32 groups of 4 channels.
resnext50_32x4d = ResNetSize(bottleneck=True, blocks=(3, 4, 6, 3), groups=32, base_width=4)

# Zagoruyko & Komodakis 2016, arXiv:1605.07146, section 3.4: the 3 × 3 convolutions twice as wide.
wide_resnet50_2 = ResNetSize(bottleneck=True, blocks=(3, 4, 6, 3), base_width=128)
