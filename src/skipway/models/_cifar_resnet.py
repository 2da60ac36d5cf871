"""`cifar_resnet`: ResNet for small images, 6n + 2 layers in three stages."""

from __future__ import annotations

from functools import partial

from .._errors import SkipError
from ._basic_block import BasicBlock, PreactBasicBlock
from ._residual_block import Memory, Option, check_option
from ._resnet import ResNet


def cifar_resnet(
    depth: int,
    *,
    width: int = 16,
    option: Option = "A",
    num_classes: int = 10,
    in_channels: int = 3,
    preact: bool = False,
    plain: bool = False,
    zero_init_residual: bool = False,
    drop: float = 0.0,
    memory: Memory = "plain",
) -> ResNet:
    """Return the ResNet of He et al. 2015 (arXiv:1512.03385, section 4.2) for images of 32 × 32.

    A 3 × 3 convolution, then three stages of widths 16, 32 and 64 with `n` blocks of two
    convolutions each, the mean over all positions, and a classifier: `6n + 2` layers.

    Args:
        depth: `6n + 2`. The paper's are 20, 32, 44, 56, 110 and 1202.
        width: of the first stage, 16 in the paper; the others have twice and four times as many.
        option: where the shape changes the skip brings every second position and zeros for the new
            channels (`"A"`, the paper's here, without a parameter), or projects (`"B"`).
        num_classes: how many.
        in_channels: of the images.
        preact: whether norm and ReLU come before each convolution (arXiv:1603.05027).
        plain: whether the skips are left out: the paper's plain-20, plain-56. With option A it has
            the same parameters; with option B those of two projections less (2,752, or 2,560
            pre-activated).
        zero_init_residual: whether each branch starts at zero.
        drop: probability of leaving out the last branch; earlier ones less, linearly. The paper of
            stochastic depth (arXiv:1603.09382) takes 0.5.
        memory: `"plain"`, or `"lean"` for less memory in training; see `ResNet.memory`.

    Shape:
        `(batch, in_channels, h, w)` to `(batch, num_classes)`.

    Raises:
        SkipError: there is no network of this depth, or an option makes no sense.

    Example:
        >>> network, plain = cifar_resnet(20), cifar_resnet(20, plain=True)
        >>> [sum(p.numel() for p in net.parameters()) for net in (network, plain)]
        [269722, 269722]
    """
    count, rest = divmod(depth - 2, 6)
    if rest or count < 1:
        raise SkipError(
            f"A CIFAR ResNet has 6n + 2 layers, 8, 14, 20 and so on, and {depth} is none of these.",
            page="models#which-there-are",
        )
    check_option(option)
    block = PreactBasicBlock if preact else BasicBlock
    return ResNet(
        partial(block, option=option, skip=not plain),
        (count, count, count),
        width=width,
        num_classes=num_classes,
        in_channels=in_channels,
        stem="cifar",
        preact=preact,
        zero_init_residual=zero_init_residual,
        drop=drop,
        memory=memory,
    )
