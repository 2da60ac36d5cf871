"""The matrix products of the dense block: right for every shape, and from the faster library."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from skipway.models._dense._products import product, product_backward

# Rows that divide into images of oneDNN's liking, primes, fewer than an image, and one position.
ROWS = [1, 2, 15, 16, 49, 96, 97, 196, 509, 1024]


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def close(found: Tensor, exact: Tensor, terms: int, dtype: torch.dtype) -> None:
    """Hold a product of normal numbers to the rounding of a sum of so many of them."""
    worst = float((found.double() - exact).abs().max())
    assert worst <= 8 * torch.finfo(dtype).eps * terms**0.5 * max(1.0, float(exact.abs().max()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rows", ROWS)
def test_products_are_those_of_matrices(rows: int, dtype: torch.dtype, threads: int) -> None:
    torch.manual_seed(rows)
    for columns, out in [(3, 1), (64, 48), (130, 128)]:
        x, g = torch.randn(rows, columns, dtype=dtype), torch.randn(rows, out, dtype=dtype)
        weight, bias = torch.randn(out, columns, dtype=dtype), torch.randn(out, dtype=dtype)
        exact = x.double(), g.double(), weight.double()
        forward = product(x, weight.view(out, columns, 1, 1), bias)
        close(forward, exact[0] @ exact[2].t() + bias.double(), columns, dtype)
        dx, dweight = product_backward(g, x, weight, needs_weight=True)
        assert dweight is not None
        close(dx, exact[1] @ exact[2], out, dtype)
        close(dweight, exact[1].t() @ exact[0], rows, dtype)
        assert forward.is_contiguous()
        assert dx.is_contiguous()
        assert dweight.shape == weight.shape
        assert product_backward(g, x, weight, needs_weight=False)[1] is None


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch without oneDNN")
@pytest.mark.parametrize("rows", [96, 196, 1024])
def test_float32_products_come_from_onednn(rows: int, threads: int) -> None:
    x, weight = torch.randn(rows, 64), torch.randn(32, 64)
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        product(x, weight)
    names = {event.key for event in seen.key_averages()}
    assert "aten::mkldnn_convolution" in names
    assert "aten::mm" not in names


@pytest.mark.filterwarnings("ignore:TF32")
def test_without_onednn_the_products_are_the_same() -> None:
    x, weight = torch.randn(96, 64), torch.randn(32, 64)
    usual = product(x, weight)
    with torch.backends.mkldnn.flags(enabled=False):
        torch.testing.assert_close(product(x, weight), usual)
