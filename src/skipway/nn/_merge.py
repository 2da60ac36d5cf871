"""`Merge`: how the two sides of a skip become one tensor; `Add` and `Concat`."""

from __future__ import annotations

import abc

import torch
from torch import Tensor, nn

from .._errors import SkipError
from ._fit import cannot_add, cannot_concatenate


class Merge(nn.Module, abc.ABC):
    """How the two sides of a skip become one tensor. Subclass it for a merge of your own.

    Example:
        >>> class Mean(Merge):
        ...     def forward(self, shortcut: Tensor, branch: Tensor) -> Tensor:
        ...         return (shortcut + branch) / 2
        >>> x = torch.ones(2, 3)
        >>> torch.equal(Mean()(x, 3 * x), 2 * x)
        True
    """

    @abc.abstractmethod
    def forward(self, shortcut: Tensor, branch: Tensor) -> Tensor:
        """Return what becomes of `shortcut` and `branch`."""


class Add(Merge):
    """The sum: `y = x + f(x)`, so `dL/dx = dL/dy (1 + f'(x))` and the 1 survives any depth.

    He et al. 2015, arXiv:1512.03385, equation 1.

    Shape:
        Two tensors of one shape to that shape. Nothing is broadcast: a body of one channel, or of
        one position, would be added to all of them without a word.

    Raises:
        SkipError: the shapes differ; it names both and what would fit.

    Example:
        >>> Add()(torch.ones(2), torch.ones(2))
        tensor([2., 2.])
    """

    def forward(self, shortcut: Tensor, branch: Tensor) -> Tensor:
        """Return `shortcut + branch`."""
        # While torch.fx traces, the two stand for tensors, and have no shape to compare.
        if isinstance(shortcut, Tensor) and shortcut.shape != branch.shape:
            raise cannot_add(shortcut.shape, branch.shape)
        return shortcut + branch


class Concat(Merge):
    """The two side by side: `y = [x, f(x)]`, DenseNet's merge (Huang et al. 2016, 1608.06993).

    Args:
        dim: the axis of the features: 1 for `(batch, channels, *positions)`, -1 for tokens.

    Shape:
        Two tensors that agree in every axis but `dim`, whose sizes add up.

    Raises:
        SkipError: they differ in another axis; it names both and what would fit.

    Example:
        >>> Concat()(torch.zeros(2, 3, 8, 8), torch.zeros(2, 5, 8, 8)).shape
        torch.Size([2, 8, 8, 8])
    """

    def __init__(self, dim: int = 1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, shortcut: Tensor, branch: Tensor) -> Tensor:
        """Return both, one after the other along `dim`."""
        if _without(shortcut, self.dim) != _without(branch, self.dim):
            raise cannot_concatenate(shortcut.shape, branch.shape, self.dim)
        return torch.cat((shortcut, branch), self.dim)

    def extra_repr(self) -> str:
        """Return what `repr` shows between the brackets."""
        return f"dim={self.dim}"


def merge_of(merge: nn.Module | str) -> nn.Module | None:
    """Return the merge of this name, or the module itself; `None` for the plain sum.

    Raises:
        SkipError: there is no merge of this name.
    """
    if isinstance(merge, nn.Module):
        return merge
    if merge == "add":
        return None
    if merge in ("concat", "cat"):
        return Concat()
    raise SkipError(
        f"There is no merge {merge!r}; give 'add', 'concat', or a module of the two tensors "
        "(shortcut, branch)."
    )


def _without(x: Tensor, dim: int) -> tuple[int, ...] | None:
    if not -x.ndim <= dim < x.ndim:
        return None
    axis = dim % x.ndim
    return (*x.shape[:axis], *x.shape[axis + 1 :])
