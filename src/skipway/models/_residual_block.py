"""What the blocks of all residual networks have in common."""

from __future__ import annotations

import abc
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from .._errors import SkipError
from ..nn import Add, Merge, Shortcut, StochasticDepth
from ._one_piece import OnePiece
from ._paths import ASKED_FOR, BlockPath
from ._recompute import why_plain

Memory = Literal["plain", "lean"]
Option = Literal["A", "B"]
Pairs = tuple[tuple[str, str], ...]


class ResidualBlock(OnePiece, abc.ABC):
    """A branch, what lies on the skip across it, and their sum.

    Attributes:
        expansion: output channels for each channel of the 3 × 3 convolutions.
        folds: each convolution whose output one norm alone reads, and that norm.
        downsample: what lies on the skip where the shape changes; None for the identity.
        add: the sum; None in a plain network, whose blocks are their branches.
        drop: leaves the branch out for some samples while training; None never does.
        memory: `"plain"` runs the modules; `"lean"` keeps each convolution's output only, and
            computes norm and ReLU again in the backward.
        latest_path: how the latest call was computed; `skipway.models.explain_path` reads it.
    """

    expansion: ClassVar[int] = 1
    folds: ClassVar[Pairs] = ()

    def __init__(self, skip: bool) -> None:
        super().__init__()
        self.downsample: nn.Module | None = None
        self.add: Merge | None = Add() if skip else None
        self.drop: StochasticDepth | None = None
        self.memory: Memory = "plain"
        self.latest_path = BlockPath("")

    @abc.abstractmethod
    def plain(self, x: Tensor) -> Tensor:
        """Return the block's output, module by module."""

    @abc.abstractmethod
    def lean(self, x: Tensor) -> Tensor:
        """Return the same, with norms and ReLUs that are computed again in the backward."""

    @abc.abstractmethod
    def branch_end(self) -> nn.Module:
        """Return the layer whose weight of zero makes the branch zero."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        if torch.compiler.is_compiling():
            return self.plain(x)
        if self.memory == "plain":
            self.latest_path = ASKED_FOR
            return self.plain(x)
        reason = why_plain(x, self.named_children())
        self.latest_path = BlockPath("", "plain" if reason else "lean", reason)
        return self.plain(x) if reason else self.lean(x)

    def shortcut(self, x: Tensor) -> Tensor | None:
        """Return what the skip brings; None where there is none."""
        if self.add is None:
            return None
        return x if self.downsample is None else self.downsample(x)

    def join(self, x: Tensor, branch: Tensor) -> Tensor:
        """Return the branch, with what the skip makes of `x` where there is one."""
        shortcut = self.shortcut(x)
        if self.add is None or shortcut is None:
            return branch
        y: Tensor = self.add(shortcut, branch if self.drop is None else self.drop(branch))
        return y


def check_option(option: str) -> None:
    """Raise an error where there is no such shortcut.

    Raises:
        SkipError: it is neither A nor B.
    """
    if option not in ("A", "B"):
        raise SkipError(
            f"There is no option {option!r}; give 'A' or 'B'.", page="models#which-there-are"
        )


def convolution(
    in_channels: int, out_channels: int, size: int, stride: int = 1, groups: int = 1
) -> nn.Conv2d:
    """Return a convolution that keeps all positions at stride 1; the norm behind it has a bias."""
    return nn.Conv2d(
        in_channels, out_channels, size, stride, padding=size // 2, groups=groups, bias=False
    )


def projection(
    in_channels: int, out_channels: int, stride: int, option: Option, *, norm: bool
) -> nn.Module | None:
    """Return what lies on the skip: None where nothing changes."""
    if in_channels == out_channels and stride == 1:
        return None
    if option == "A":
        return Shortcut(in_channels, out_channels, stride, kind="A")
    project = convolution(in_channels, out_channels, 1, stride)
    return nn.Sequential(project, nn.BatchNorm2d(out_channels)) if norm else nn.Sequential(project)
