"""`unet`: down to few positions and up again, with a skip across each level."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from .._errors import SkipError
from ..nn import Merge, Skip

_CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_POOLS = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
_NORMS = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


def unet(
    in_channels: int,
    num_classes: int,
    *,
    width: int = 64,
    depth: int = 4,
    dims: int = 2,
    merge: Literal["concat", "add"] = "concat",
    align: Literal["pad", "interpolate"] = "pad",
    norm: bool = True,
    plain: bool = False,
) -> UNet:
    """Return a U-Net (Ronneberger et al. 2015, arXiv:1505.04597, figure 1).

    Each level has two convolutions, then everything below it, at half the positions and twice the
    width, then two more. What the first two have found goes straight to the last two as well:
    across this long skip travels what halving the positions would lose, such as the exact place
    of an edge.

    The paper's network differs in three ways: it has no norms (`norm=False`), it loses a rim at
    each convolution, and it needs sizes that can be halved `depth` times. This one takes any size
    and returns it: an odd one is rounded up below, and the rim cut off again (or the difference
    resampled, with `align="interpolate"`).

    Args:
        in_channels: of the images.
        num_classes: channels of the output.
        width: channels of the uppermost level; each level below has twice those above it.
        depth: how many times the positions are halved; the number of long skips.
        dims: axes of positions: 1 for signals, 2 for images, 3 for volumes.
        merge: how the two sides of a long skip become one. With `"add"` the convolution behind it
            reads half the channels.
        align: how they come to the same positions where a size was odd.
        norm: whether a batch norm stands behind each convolution.
        plain: whether the long skips are left out. The twin of `merge="add"` has the same
            parameters. With `"concat"` the convolution behind a skip reads the upper half of its
            channels only, so the twin has `3**dims * w**2` fewer for each level of width `w`.

    Shape:
        `(batch, in_channels, *positions)` to `(batch, num_classes, *positions)`, with `dims` axes
        of positions, of any size.

    Raises:
        SkipError: an option makes no sense; in forward, the input has other axes.

    Example:
        >>> import torch
        >>> unet(1, 2, width=8)(torch.randn(1, 1, 37, 50)).shape
        torch.Size([1, 2, 37, 50])
    """
    levels = _Levels(dims, merge, align, norm, plain)
    _check(levels)
    counts = {"in_channels": in_channels, "num_classes": num_classes}
    _check_counts({**counts, "width": width, "depth": depth})
    return UNet(levels.level(in_channels, width, depth), _CONVOLUTIONS[dims](width, num_classes, 1))


class UNet(nn.Module):
    """The levels of a U-Net, one inside the other, and a 1 × 1 convolution; `unet` makes it.

    Attributes:
        level: two convolutions `encode`, a `Skip` called `below` around everything further down,
            and two convolutions `decode`.
        head: the 1 × 1 convolution.
    """

    def __init__(self, level: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.level, self.head = level, head
        for module in self.modules():
            if isinstance(module, tuple(_CONVOLUTIONS.values())) and module is not head:
                # The paper's: a standard deviation of sqrt(2 / N) for N incoming numbers.
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Return the classes' scores at each position."""
        dims = len(self.head.kernel_size)  # type: ignore[arg-type]
        if x.ndim != dims + 2:
            raise SkipError(
                f"This U-Net has dims={dims}, so it reads (batch, channels, *positions) with "
                f"{dims + 2} axes, and the input has the shape {tuple(x.shape)}.",
                page="models#which-there-are",
            )
        y: Tensor = self.head(self.level(x))
        return y


class _OnlyBranch(Merge):
    """No skip: what comes from below alone. The shortcut's positions still give it its size."""

    def forward(self, shortcut: Tensor, branch: Tensor) -> Tensor:
        return branch


@dataclass(frozen=True)
class _Levels:
    """How the levels of one U-Net are built."""

    dims: int
    merge: Literal["concat", "add"]
    align: Literal["pad", "interpolate"]
    norm: bool
    plain: bool

    def level(self, in_channels: int, width: int, depth: int) -> nn.Module:
        """Return a level with everything below it."""
        encode = self.convolutions(in_channels, width)
        if depth == 0:
            return encode
        joined = 2 * width if self.merge == "concat" and not self.plain else width
        parts = {
            "encode": encode,
            "below": self.skip(width, depth),
            "decode": self.convolutions(joined, width),
        }
        return nn.Sequential(OrderedDict(parts))

    def skip(self, width: int, depth: int) -> Skip:
        """Return everything below a level, and the long skip across it."""
        # Rounding up lets a size of 1 stay 1: no input is too small for any depth.
        pool = _POOLS[self.dims](2, ceil_mode=True)
        up = _TRANSPOSED[self.dims](2 * width, width, 2, 2)
        parts = {"pool": pool, "level": self.level(width, 2 * width, depth - 1), "up": up}
        merge = _OnlyBranch() if self.plain else self.merge
        return Skip(nn.Sequential(OrderedDict(parts)), merge=merge, align=self.align)

    def convolutions(self, in_channels: int, width: int) -> nn.Sequential:
        """Return two 3 × 3 convolutions, each with its norm and ReLU."""
        layers: list[nn.Module] = []
        for channels in (in_channels, width):
            layers.append(
                _CONVOLUTIONS[self.dims](channels, width, 3, padding=1, bias=not self.norm)
            )
            layers += [_NORMS[self.dims](width)] if self.norm else []
            layers.append(nn.ReLU(inplace=True))
        return nn.Sequential(*layers)


def _check(levels: _Levels) -> None:
    if levels.dims not in _CONVOLUTIONS:
        raise SkipError(
            f"A U-Net has no dims={levels.dims!r}; give 1, 2 or 3.", page="models#which-there-are"
        )
    if levels.merge not in ("concat", "add"):
        raise SkipError(
            f"There is no merge {levels.merge!r} here; give 'concat' or 'add'.",
            page="models#which-there-are",
        )
    if levels.align not in ("pad", "interpolate"):
        raise SkipError(
            f"align={levels.align!r} would not return the input's size; give 'pad' or "
            "'interpolate'.",
            page="models#which-there-are",
        )


def _check_counts(counts: dict[str, int]) -> None:
    for name, count in counts.items():
        if not isinstance(count, int) or count < 1:
            raise SkipError(
                f"A U-Net needs a whole number of 1 or more for {name}, not {count!r}.",
                page="models#which-there-are",
            )
