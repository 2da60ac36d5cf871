"""The building blocks against slow, literal transcriptions of their formulas."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import skipway.nn
from skipway._errors import SkipwayError


def _option_a(x: Tensor, out: int, stride: int) -> Tensor:
    """Every position that the stride hits, one by one; the new channels stay zero."""
    n, c, h, w = x.shape
    y = torch.zeros(n, out, math.ceil(h / stride), math.ceil(w / stride))
    for channel in range(c):
        for i in range(y.shape[2]):
            for j in range(y.shape[3]):
                y[:, channel, i, j] = x[:, channel, i * stride, j * stride]
    return y


def _pooled(x: Tensor, stride: int) -> Tensor:
    """The mean over what lies under each window; at the border over what there is."""
    h, w = (math.ceil(size / stride) for size in x.shape[2:])
    rows = [
        torch.stack(
            [
                x[:, :, i * stride : (i + 1) * stride, j * stride : (j + 1) * stride].mean((2, 3))
                for j in range(w)
            ],
            -1,
        )
        for i in range(h)
    ]
    return torch.stack(rows, -2)


sizes = st.integers(1, 7)


@settings(max_examples=25, deadline=None)
@given(sizes, sizes, st.integers(1, 3), st.integers(1, 3), st.integers(0, 3))
def test_option_a_keeps_the_channels_and_adds_zeros(
    h: int, w: int, stride: int, channels: int, more: int
) -> None:
    x = torch.randn(2, channels, h, w)
    shortcut = skipway.nn.Shortcut(channels, channels + more, stride, kind="A")
    assert torch.equal(shortcut(x), _option_a(x, channels + more, stride))
    assert not list(shortcut.parameters())


@settings(max_examples=25, deadline=None)
@given(sizes, sizes, st.integers(1, 3), st.integers(1, 3), st.integers(1, 4))
def test_option_d_is_the_mean_then_a_product(
    h: int, w: int, stride: int, channels: int, out: int
) -> None:
    x = torch.randn(2, channels, h, w)
    shortcut = skipway.nn.Shortcut(channels, out, stride, kind="D")
    expected = _pooled(x, stride)
    if out != channels:
        weight = shortcut.project.weight[:, :, 0, 0]
        expected = torch.einsum("oc,nchw->nohw", weight, expected)
    torch.testing.assert_close(shortcut(x), expected)


@pytest.mark.parametrize("dims", [0, 1, 2, 3])
def test_a_projection_starts_without_changing_lengths(dims: int) -> None:
    x = torch.randn(5, 4, *(3,) * dims)
    y = skipway.nn.Shortcut(4, 9, dims=dims)(x)
    axis = 1 if dims else -1
    torch.testing.assert_close(y.norm(dim=axis), x.norm(dim=axis))


def test_option_b_is_nothing_where_nothing_changes() -> None:
    x = torch.randn(2, 4, 5, 5)
    assert skipway.nn.Shortcut(4, 4)(x) is x
    assert skipway.nn.Shortcut(4, 4, 2)(x).shape == (2, 4, 3, 3)


def test_a_shortcut_that_cannot_be_says_why() -> None:
    with pytest.raises(SkipwayError, match="8 → 4"):
        skipway.nn.Shortcut(8, 4, kind="A")
    with pytest.raises(SkipwayError, match="kinds are A, B, C and D"):
        skipway.nn.Shortcut(8, 4, kind="E")  # type: ignore[arg-type]
    with pytest.raises(SkipwayError, match="stride"):
        skipway.nn.Shortcut(8, 4, 2, dims=0)


@pytest.mark.parametrize("dims", [0, 1, 2, 3])
@pytest.mark.parametrize(("before", "width"), [(4, 4), (3, 5), (5, 3)])
def test_fuse_starts_as_a_sum_and_is_a_product_of_both(dims: int, before: int, width: int) -> None:
    skip, x = torch.randn(2, before, *(3,) * dims), torch.randn(2, width, *(3,) * dims)
    fuse = skipway.nn.Fuse(width, skip=before, dims=dims, scale=0.5)
    shared = min(before, width)
    expected = 0.5 * x
    expected[:, :shared] += skip[:, :shared]
    torch.testing.assert_close(fuse(skip, x), expected)
    nn.init.normal_(fuse.weight)
    weight = fuse.weight.reshape(width, -1)
    both = torch.cat([skip, x], 1).movedim(1, -1)
    torch.testing.assert_close(fuse(skip, x).movedim(1, -1), both @ weight.T)
