"""Products of a matrix of positions with a 1 × 1 convolution's weight.

The same product can be had from the matrix library and from the convolution library. On processors
that are not Intel's, MKL leaves half of the vector unit idle, where oneDNN does not: 2.2 times as
fast here (benchmarks/speed/products.py). So float32 on the CPU goes through a convolution, and
everything else through `torch.mm`.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor
from torch.nn import functional as F

# On one thread torch hands a 1 × 1 convolution to oneDNN from this batch on, and on more threads
# one image from this size on (`use_mkldnn` in aten/src/ATen/native/Convolution.cpp).
_IMAGES = 16
_ELEMENTS = 20480
# Images of fewer positions than this take longer than the matrix product.
_POSITIONS = 6


def product(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return `rows · weightᵀ + bias`.

    Args:
        rows: `(rows, columns)`, contiguous.
        weight: `(out, columns)`, or that with sizes of one behind it.
        bias: `(out,)`.
    """
    images = images_of(rows)
    if images is None:
        matrix = weight.flatten(1).t()
        return torch.mm(rows, matrix) if bias is None else torch.addmm(bias, rows, matrix)
    out: Tensor = F.conv2d(as_images(rows, images), as_kernel(weight), bias)
    return out.permute(0, 2, 3, 1).reshape(rows.shape[0], weight.shape[0])


def product_backward(
    gradient: Tensor, rows: Tensor, weight: Tensor, *, needs_weight: bool
) -> tuple[Tensor, Tensor | None]:
    """Return the gradients of `rows` and of `weight` (as a matrix), given that of the product."""
    images = images_of(rows)
    if images is None:
        matrix = weight.flatten(1)
        return torch.mm(gradient, matrix), gradient.t() @ rows if needs_weight else None
    drows, dweight, _ = torch.ops.aten.convolution_backward(
        as_images(gradient, images),
        as_images(rows, images),
        as_kernel(weight),
        None,
        [1, 1],
        [0, 0],
        [1, 1],
        False,
        [0, 0],
        1,
        [True, needs_weight, False],
    )
    dmatrix = dweight.flatten(1) if needs_weight else None
    return drows.permute(0, 2, 3, 1).reshape(rows.shape), dmatrix


def images_of(rows: Tensor) -> int | None:
    """Return as how many images oneDNN is to see these rows, or None where it is not asked."""
    if rows.dtype != torch.float32 or rows.device.type != "cpu":
        return None
    if not torch.backends.mkldnn.enabled or not torch._C._has_mkldnn:
        return None
    return _images_of(*rows.shape, torch.get_num_threads())


@functools.lru_cache(maxsize=1024)
def _images_of(rows: int, columns: int, threads: int) -> int | None:
    if threads > 1 and rows * columns > _ELEMENTS:
        return 1
    for images in range(_IMAGES, min(4 * _IMAGES, rows // _POSITIONS) + 1):
        if rows % images == 0:
            return images
    return None


def as_images(rows: Tensor, images: int) -> Tensor:
    """Return a contiguous matrix as images of one row of positions, their channels last."""
    count, columns = rows.shape
    width = count // images
    return rows.as_strided(
        (images, columns, 1, width), (columns * width, 1, columns * width, columns)
    )


def as_kernel(weight: Tensor) -> Tensor:
    return weight.view(*weight.shape[:2], 1, 1)
