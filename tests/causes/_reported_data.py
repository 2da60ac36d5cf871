"""Data of the fifth held-out set."""

from __future__ import annotations

from functools import lru_cache

import torch
from sklearn.datasets import make_moons
from torch import Tensor

from ._data import Pair, digits, tokens


def _split(inputs: Tensor, targets: Tensor, test: int) -> tuple[Pair, Pair]:
    return (inputs[test:], targets[test:]), (inputs[:test], targets[:test])


@lru_cache
def moons() -> tuple[Pair, Pair]:
    """Return points of two half-moons in the plane, and which of them each is in."""
    points, labels = make_moons(1500, noise=0.08, random_state=21)
    return _split(torch.tensor(points, dtype=torch.float32), torch.tensor(labels), 500)


@lru_cache
def bends() -> tuple[Pair, Pair]:
    """Return numbers that have up to three numbers each (Bishop 1994)."""
    generator = torch.Generator().manual_seed(22)
    y = torch.rand(1500, 1, generator=generator)
    noise = 0.04 * torch.randn(1500, 1, generator=generator)
    return _split(4 * (y + 0.3 * torch.sin(2 * torch.pi * y) + noise) - 2, 4 * y - 2, 500)


@lru_cache
def picture() -> tuple[Pair, Pair]:
    """Return places in a square and how bright a smooth picture is there."""
    places = 2 * torch.rand(1500, 2, generator=torch.Generator().manual_seed(23)) - 1
    x, y = places.T
    bright = torch.sin(9 * x + 2) * torch.cos(7 * y) + 0.5 * torch.sin(12 * x * y)
    return _split(places, bright[:, None], 500)


@lru_cache
def spoken(length: int = 16) -> tuple[Pair, Pair]:
    """Return noise of eight numbers a step, in which three of four symbols are said in a row."""
    generator = torch.Generator().manual_seed(24)
    inputs = 0.3 * torch.randn(1200, length, 8, generator=generator)
    symbols = torch.randint(4, (1200, 3), generator=generator)
    places = torch.rand(1200, length, generator=generator).topk(3, dim=1).indices.sort(1).values
    for index in range(3):
        inputs[torch.arange(1200), places[:, index], symbols[:, index]] += 2
    return _split(inputs, symbols + 1, 300)


@lru_cache
def padded() -> tuple[Pair, Pair]:
    """Return sequences of tokens, most of them ended by up to six of token 16."""
    generator = torch.Generator().manual_seed(25)
    parts = []
    for inputs, labels in tokens(6):
        rest = torch.randint(4, 16, inputs.shape, generator=generator)
        left = torch.randint(7, (len(inputs), 1), generator=generator)
        parts.append(
            (torch.cat([inputs, rest.masked_fill(torch.arange(6) >= left, 16)], 1), labels)
        )
    return parts[0], parts[1]


@lru_cache
def ratings() -> tuple[Pair, Pair]:
    """Return who judges what, and what the product of their five traits says of it."""
    generator = torch.Generator().manual_seed(26)
    people = torch.randn(200, 3, generator=generator)
    things = torch.randn(150, 3, generator=generator)
    pairs = torch.stack(
        [torch.randint(each, (14000,), generator=generator) for each in (200, 150)], 1
    )
    noise = 0.2 * torch.randn(14000, 1, generator=generator)
    product = (people[pairs[:, 0]] * things[pairs[:, 1]]).sum(1, keepdim=True)
    return _split(pairs, product + noise, 2000)


@lru_cache
def clouds() -> tuple[Pair, Pair]:
    """Return points around nought, and others that lie two further along one direction."""
    generator = torch.Generator().manual_seed(27)
    near, far = (torch.randn(1500, 8, generator=generator) for _ in range(2))
    return _split(near, far + 2 / 8**0.5, 500)


@lru_cache
def sequences() -> tuple[Pair, Pair]:
    """Return twelve numbers of a sine each, and the next one."""
    generator = torch.Generator().manual_seed(28)
    start, pace = torch.rand(2, 1500, 1, generator=generator).unbind(0)
    numbers = torch.sin(6.28 * start + (0.2 + 0.5 * pace) * torch.arange(13))
    return _split(numbers[:, :12], numbers[:, 12:], 500)


@lru_cache
def parity() -> tuple[Pair, Pair]:
    """Return digits and whether each is odd."""
    train, test = ((x, (y % 2).float()[:, None]) for x, y in digits(64))
    return train, test


@lru_cache
def again() -> tuple[Pair, Pair]:
    """Return digits twice."""
    train, test = ((x, x) for x, _ in digits(64))
    return train, test
