"""scikit-learn's digits: 1,797 images of 8 × 8, which come with the package, no network needed."""

from __future__ import annotations

from functools import lru_cache

import torch
from sklearn.datasets import load_digits
from torch import Tensor

Pair = tuple[Tensor, Tensor]


@lru_cache(maxsize=1)
def _digits() -> Pair:
    images, labels = load_digits(return_X_y=True)
    return torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)


def split_digits(*shape: int) -> tuple[Pair, Pair]:
    """Return 1,400 digits to train on and 397 to test, values from 0 to 1.

    Args:
        shape: of one image; by default a row of 64 numbers.
    """
    images, labels = _digits()
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    images, labels = images[order].reshape(-1, *(shape or (64,))), labels[order]
    return (images[:1400].clone(), labels[:1400]), (images[1400:].clone(), labels[1400:])
