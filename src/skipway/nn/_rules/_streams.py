"""The streams of hyper-connections, `(..., n, features)`, whatever the layout of the input."""

from __future__ import annotations

from torch import Tensor

from .._features import features_to
from .._rule import same_shape


def spread(x: Tensor, n: int, dim: int) -> Tensor:
    """Return `n` streams, each one `x` with its features (axis `dim`) last."""
    last = x.movedim(dim, -1).unsqueeze(-2)
    return last.expand(*last.shape[:-2], n, last.shape[-1])


def pour(y: Tensor, shares: Tensor, streams: Tensor, layer: int, dim: int) -> Tensor:
    """Return the streams, to each of them its share of `y` added.

    Args:
        y: the output of block `layer`, its features along `dim`.
        shares: `(n,)`, or one for each position, `(..., n)`.
        streams: `(..., n, features)`.
        layer: for the message, should the shapes not fit.
        dim: the axis of the features in `y`.
    """
    y = same_shape(streams[..., 0, :], layer, y.movedim(dim, -1))
    return streams + shares.unsqueeze(-1) * y.unsqueeze(-2)


def collapse(streams: Tensor, dim: int) -> Tensor:
    """Return the mean of the streams, its features along `dim`."""
    return features_to(streams.mean(-2), dim)
