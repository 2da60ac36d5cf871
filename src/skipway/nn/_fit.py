"""Which shortcut fits between two shapes, and what to say where the two sides of a skip do not."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from .._errors import SkipError
from ._shortcut import Shortcut

_POOL = "torch.nn.AdaptiveAvgPool{}d({})"


def stride_between(before: Sequence[int], after: Sequence[int]) -> int | None:
    """Return how many positions become one along every axis; `None` where no stride does it."""
    if len(before) != len(after) or 0 in (*before, *after):
        return None
    # A short axis leaves several open, 1 position to 1 all of them: the longest one decides.
    stride = max((-(-a // b) for a, b in zip(before, after, strict=True)), default=1)
    fits = all(-(-a // stride) == b for a, b in zip(before, after, strict=True))
    return stride if fits else None


def dims_of(body: nn.Module, ndim: int) -> int:
    """Return how many axes of positions follow the channels in what `body` works on.

    Its convolutions say so; without any, images and volumes have theirs, and everything else has
    its features in the last axis (0).
    """
    for module in body.modules():
        if isinstance(module, nn.modules.conv._ConvNd):
            dims = len(module.kernel_size)
            return dims if ndim == dims + 2 else 0
    return ndim - 2 if ndim > 3 else 0


def fitting_shortcut(before: Sequence[int], after: Sequence[int], dims: int) -> Shortcut | None:
    """Return what brings `before` to `after`: `None` where they are the same already.

    Positions are averaged and channels projected (`kind="D"`).

    Raises:
        SkipError: no stride leads from the one to the other, or the batch or the axes change.
    """
    before, after = tuple(before), tuple(after)
    if before == after:
        return None
    if len(before) != len(after):
        raise SkipError(f"{_ends(before, after)} {_axes(before, after)}")
    axis = 1 if dims else len(before) - 1
    stride = 1 if before[:axis] == after[:axis] else None
    if dims and stride:
        stride = stride_between(before[2:], after[2:])
    if stride is None:
        raise SkipError(
            f"{_ends(before, after)} No stride leads from the one to the other, so no shortcut "
            f"can be found for it. {_remedies(before, after, dims)}"
        )
    return Shortcut(before[axis], after[axis], stride, kind="D", dims=dims)


def cannot_add(shortcut: Sequence[int], branch: Sequence[int], dims: int = 0) -> SkipError:
    """Return the error for a sum of two shapes, with the shortcut that would fit.

    Args:
        shortcut: the one shape.
        branch: the other.
        dims: how many axes of positions follow the channels, where the body tells; 0 leaves it
            to the shapes.
    """
    before, after = tuple(shortcut), tuple(branch)
    told = f"{_ends(before, after)} A sum needs one shape: nothing is broadcast."
    if len(before) != len(after):
        return SkipError(f"{told} {_axes(before, after)}")
    if before[0] != after[0]:
        return SkipError(f"{told} The batch itself changes, so no shortcut can fit.")
    return SkipError(f"{told} {_remedies(before, after, dims)}")


def cannot_concatenate(shortcut: Sequence[int], branch: Sequence[int], dim: int) -> SkipError:
    """Return the error for a concatenation of two shapes along `dim`."""
    before, after = tuple(shortcut), tuple(branch)
    told = f"{_ends(before, after)} Concatenated along dim {dim} they must agree in every other."
    if len(before) != len(after):
        return SkipError(f"{told} {_axes(before, after)}")
    if not -len(before) <= dim < len(before):
        return SkipError(f"{told} But there is no axis {dim}; give Concat(dim=-1) for features.")
    if before[0] != after[0]:
        return SkipError(f"{told} The batch itself changes, so nothing can be joined.")
    return SkipError(
        f'{told} Where positions differ, align them: Skip(body, merge="concat", align="pad").'
    )


def _ends(before: tuple[int, ...], after: tuple[int, ...]) -> str:
    return f"The shortcut has the shape {before}, the branch {after}."


def _axes(before: tuple[int, ...], after: tuple[int, ...]) -> str:
    return (
        f"The body turns {len(before)} axes into {len(after)}: reshape in it, or end the skip "
        "before that."
    )


def _remedies(before: tuple[int, ...], after: tuple[int, ...], dims: int) -> str:
    """Return the shortcut for this case, and concatenation: both as code that works."""
    features_last = not dims and before[:-1] == after[:-1] and len(before) < 4
    dims = 0 if features_last else len(before) - 2
    concat = 'merge="concat"' if dims else "merge=skipway.nn.Concat(dim=-1)"
    align = ', align="pad"' if before[2:] != after[2:] and dims else ""
    return (
        f"Give the skip a shortcut that fits, Skip(body, shortcut={_shortcut(before, after, dims)})"
        f", or join by concatenation, Skip(body, {concat}{align})."
    )


def _shortcut(before: tuple[int, ...], after: tuple[int, ...], dims: int) -> str:
    axis = 1 if dims else -1
    widths = f"{before[axis]}, {after[axis]}"
    stride = stride_between(before[2:], after[2:]) if dims else 1
    if stride is not None:
        of_stride = f", {stride}" if stride > 1 else ""
        return f'skipway.nn.Shortcut({widths}{of_stride}, kind="D", dims={dims})'
    pool = _POOL.format(dims, after[2:])
    if before[1] == after[1]:
        return pool
    return f"torch.nn.Sequential({pool}, skipway.nn.Shortcut({widths}, dims={dims}))"
