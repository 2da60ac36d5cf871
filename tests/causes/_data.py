"""Small data: scikit-learn's digits, and what a few lines can generate."""

from __future__ import annotations

from functools import lru_cache

import torch
from sklearn.datasets import load_digits
from torch import Tensor

Pair = tuple[Tensor, Tensor]


@lru_cache
def digits(*shape: int) -> tuple[Pair, Pair]:
    """Return 1,297 digits to train on and 500 to test, each of `shape`, values from 0 to 1."""
    images, labels = load_digits(return_X_y=True)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(5))
    images = torch.tensor(images / 16, dtype=torch.float32)[order].reshape(-1, *(shape or (64,)))
    labels = torch.tensor(labels)[order]
    return (images[500:], labels[500:]), (images[:500], labels[:500])


@lru_cache
def waves() -> tuple[Pair, Pair]:
    """Return a regression: two sums of sines of sixteen numbers, with a little noise."""
    generator = torch.Generator().manual_seed(6)
    inputs = torch.randn(1500, 16, generator=generator)
    mix = torch.randn(16, 2, generator=generator) / 4
    noise = 0.1 * torch.randn(1500, 2, generator=generator)
    targets = torch.sin(1.2 * inputs @ mix) + noise
    return (inputs[500:], targets[500:]), (inputs[:500], targets[:500])


@lru_cache
def tokens(length: int = 12) -> tuple[Pair, Pair]:
    """Return sequences of sixteen tokens; the class is which of the first four occurs in them."""
    generator = torch.Generator().manual_seed(7)
    inputs = torch.randint(4, 16, (1500, length), generator=generator)
    targets = torch.randint(4, (1500,), generator=generator)
    places = torch.randint(length, (1500,), generator=generator)
    inputs[torch.arange(1500), places] = targets
    return (inputs[500:], targets[500:]), (inputs[:500], targets[:500])


@lru_cache
def text(length: int = 16) -> tuple[Pair, Pair]:
    """Return sequences in which each token follows from the one before; the next one is asked."""
    generator = torch.Generator().manual_seed(8)
    follows = torch.randperm(16, generator=generator)
    inputs = torch.randint(16, (1000, length + 1), generator=generator)
    for place in range(length):
        sure = torch.rand(1000, generator=generator) < 0.8
        inputs[sure, place + 1] = follows[inputs[sure, place]]
    pair = inputs[:, :-1], inputs[:, 1:]
    return (pair[0][300:], pair[1][300:]), (pair[0][:300], pair[1][:300])


@lru_cache
def memory(length: int, told: int) -> tuple[Pair, Pair]:
    """Return noise of eight numbers a step; the class is what is added at step `told`."""
    generator = torch.Generator().manual_seed(9)
    inputs = 0.3 * torch.randn(1200, length, 8, generator=generator)
    targets = torch.randint(4, (1200,), generator=generator)
    inputs[torch.arange(1200), told, targets] += 2
    return (inputs[400:], targets[400:]), (inputs[:400], targets[:400])


@lru_cache
def masks() -> tuple[Pair, Pair]:
    """Return noisy digits as images, and as targets where their ink is."""
    generator = torch.Generator().manual_seed(10)
    parts = []
    for images, _ in digits(1, 8, 8):
        noise = 0.3 * torch.randn(images.shape, generator=generator)
        parts.append((images + noise, (images > 0.5).float()))
    return parts[0], parts[1]


@lru_cache
def rare() -> tuple[Pair, Pair]:
    """Return sixteen numbers each, and whether they are one of the hundredth that is otherwise."""
    generator = torch.Generator().manual_seed(13)
    inputs = torch.randn(20000, 16, generator=generator)
    targets = (torch.rand(20000, 1, generator=generator) < 0.01).float()
    inputs[:, :6] += 1.5 * targets
    return (inputs[5000:], targets[5000:]), (inputs[:5000], targets[:5000])


@lru_cache
def decay() -> tuple[Pair, Pair]:
    """Return moments from 0 to 2 and what is left at each of what falls by its threefold."""
    moments = 2 * torch.rand(1000, 1, generator=torch.Generator().manual_seed(14))
    left = torch.exp(-3 * moments)
    return (moments[200:], left[200:]), (moments[:200], left[:200])


@lru_cache
def neighbours() -> tuple[Tensor, Tensor]:
    """Return 600 digits and a matrix that takes the mean over each one's six nearest and itself."""
    features = digits(64)[0][0][:600]
    nearest = torch.cdist(features, features).topk(7, largest=False).indices
    near = torch.zeros(600, 600).scatter_(1, nearest, 1.0)
    near = torch.maximum(near, near.T)
    return features, near / near.sum(1, keepdim=True)


@lru_cache
def nodes() -> tuple[Pair, Pair]:
    """Return the numbers of the nodes of that graph and their classes."""
    labels, every = digits(64)[0][1][:600], torch.arange(600)
    return (every[200:], labels[200:]), (every[:200], labels[:200])


@lru_cache
def missing() -> tuple[Pair, Pair]:
    """Return digits of which a few numbers are not known."""
    generator = torch.Generator().manual_seed(15)
    (inputs, labels), test = digits(64)
    unknown = torch.rand(inputs.shape, generator=generator) < 0.002
    return (inputs.masked_fill(unknown, torch.nan), labels), test


@lru_cache
def pairs() -> tuple[Pair, Pair]:
    """Return two digits each, and whether they are the same one, as half of them are."""
    parts = []
    for images, labels in digits(64):
        seeds = torch.Generator().manual_seed(21)
        other = torch.randperm(len(images), generator=seeds)
        # Half of the pairs are of one digit: the next image of it.
        order = labels.argsort(stable=True)
        alike = torch.empty_like(order)
        alike[order] = order.roll(1)
        two = torch.where(torch.rand(len(images), generator=seeds) < 0.5, alike, other)
        same = (labels == labels[two]).float()[:, None]
        parts.append((torch.stack([images, images[two]], 1), same))
    return parts[0], parts[1]
