"""`Align`: bring the positions of the two sides of a skip together."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from .._errors import SkipError

_MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}


class Align(nn.Module):
    """Bring the positions of the two sides of a skip together: odd sizes do not survive halving.

    - `"pad"`: the branch gets zeros around it (or loses a rim) until it has the shortcut's
      positions, so the output has those of the input;
    - `"crop"`: the shortcut loses a rim (or gets zeros) until it has the branch's: U-Net's way
      (Ronneberger et al. 2015, arXiv:1505.04597, figure 1);
    - `"interpolate"`: the branch is resampled, linearly, to the shortcut's positions.

    What is cut or added is split evenly, the odd one at the end.

    Args:
        how: one of the three.

    Shape:
        `(batch, channels, *positions)` twice, with one to three axes of positions, to two that
        agree in those.

    Raises:
        SkipError: there is no such way, or there are no positions.

    Example:
        >>> import torch
        >>> shortcut, branch = Align("pad")(torch.ones(1, 2, 7), torch.ones(1, 2, 6))
        >>> branch.shape, branch[0, 0].tolist()
        (torch.Size([1, 2, 7]), [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0])
    """

    def __init__(self, how: Literal["pad", "crop", "interpolate"]) -> None:
        super().__init__()
        if how not in ("pad", "crop", "interpolate"):
            raise SkipError(
                f"There is no align={how!r}; give 'pad', 'crop', 'interpolate' or a module of the "
                "two tensors that returns both."
            )
        self.how = how

    def forward(self, shortcut: Tensor, branch: Tensor) -> tuple[Tensor, Tensor]:
        """Return both with equal positions."""
        if not 3 <= shortcut.ndim <= 5 or shortcut.ndim != branch.ndim:
            raise SkipError(
                f"Positions are aligned between tensors (batch, channels, *positions); these have "
                f"the shapes {tuple(shortcut.shape)} and {tuple(branch.shape)}."
            )
        if shortcut.shape[2:] == branch.shape[2:]:
            return shortcut, branch
        if self.how == "crop":
            return _framed(shortcut, branch), branch
        if self.how == "pad":
            return shortcut, _framed(branch, shortcut)
        mode = _MODES[branch.ndim - 2]
        return shortcut, F.interpolate(branch, shortcut.shape[2:], mode=mode, align_corners=False)

    def extra_repr(self) -> str:
        """Return what `repr` shows between the brackets."""
        return repr(self.how)


def _framed(x: Tensor, like: Tensor) -> Tensor:
    """Pad or cut `x` to the positions of `like`; a negative padding cuts."""
    frame: list[int] = []
    for axis in range(x.ndim - 1, 1, -1):
        missing = like.shape[axis] - x.shape[axis]
        before = missing // 2 if missing >= 0 else -(-missing // 2)
        frame += [before, missing - before]
    return F.pad(x, frame)
