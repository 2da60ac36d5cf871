"""Held against a slow loop over every weight; then a block is trained on digits and drawn."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from skipway.learn._marking import Mistakes, Wrong, expect, function, number
from skipway.learn._picture import Picture, grid

FIRST, GROWTH, LAYERS = 5, 3, 4
EPOCHS = 4


def check(answer: ModuleType) -> None:
    """Check the table of a block with random weights, then the reading of a table."""
    _check_reuse(function(answer, "reuse"))
    _check_most(function(answer, "most_read"))


def _convolutions(first: int, growth: int, layers: int) -> list[nn.Conv2d]:
    return [nn.Conv2d(first + i * growth, growth, 3, padding=1) for i in range(layers)]


def _source(channel: int) -> int:
    return 0 if channel < FIRST else 1 + (channel - FIRST) // GROWTH


def _slow(convolutions: list[nn.Conv2d]) -> list[list[float]]:
    """Add every weight to its source, one input channel at a time."""
    table = []
    for layer, convolution in enumerate(convolutions):
        found: list[list[float]] = [[] for _ in range(layer + 1)]
        for channel in range(convolution.in_channels):
            weights = convolution.weight[:, channel].detach().flatten().tolist()
            found[_source(channel)] += [abs(weight) for weight in weights]
        table.append([sum(each) / len(each) for each in found])
    return table


def _check_reuse(reuse: Any) -> None:
    torch.manual_seed(8)
    convolutions = _convolutions(FIRST, GROWTH, LAYERS)
    with torch.no_grad():
        for convolution in convolutions:  # sources that differ, so that a mix-up shows
            convolution.weight *= torch.linspace(1, 4, convolution.in_channels)[:, None, None]
    before = [convolution.weight.clone() for convolution in convolutions]
    got = _flat(reuse(convolutions, FIRST, GROWTH))
    if any(not torch.equal(a, b.weight) for a, b in zip(before, convolutions, strict=True)):
        raise Wrong("You changed the weights of the block; only read them. `abs_()` writes.")
    expect(
        got, _flat(_slow(convolutions)), _mistakes(convolutions),
        "The table is not the mean absolute weight for each source.", 1e-4,
    )  # fmt: skip


def _flat(table: object) -> Tensor:
    if table is None:
        raise Wrong("reuse returned None. Is a `return` missing?")
    if not isinstance(table, (list, tuple)) or len(table) != LAYERS:
        raise Wrong(f"reuse should return a list of {LAYERS} rows, one for each convolution.")
    for layer, row in enumerate(table):
        length = len(row) if isinstance(row, (list, tuple, Tensor)) else 0
        if length != layer + 1:
            raise Wrong(
                f"Row {layer} holds {length}, and should hold {layer + 1}: one number for the "
                f"block's input and one for each layer before layer {layer}."
            )
    return torch.tensor([number(value, "A place of the table") for row in table for value in row])


def _mistakes(convolutions: list[nn.Conv2d]) -> Mistakes:
    def read(measure: Any, cut: Any) -> Tensor:
        return torch.tensor([
            float(measure(cut(convolution.weight.detach(), source)))
            for layer, convolution in enumerate(convolutions)
            for source in range(layer + 1)
        ])  # fmt: skip

    def right(weight: Tensor, source: int) -> Tensor:
        return weight[:, [c for c in range(weight.shape[1]) if _source(c) == source]]

    def equal(weight: Tensor, source: int) -> Tensor:
        return weight[:, source * GROWTH : (source + 1) * GROWTH]

    def outputs(weight: Tensor, source: int) -> Tensor:
        return weight[source * GROWTH : (source + 1) * GROWTH]

    def size(piece: Tensor) -> Tensor:
        return piece.abs().mean()

    return {
        "You took the mean of the weights with their signs: plus and minus cancel. Take the "
        "absolute value first.": (read(torch.mean, right), read(lambda p: p.mean().abs(), right)),
        "You added the absolute weights up. Sources have different numbers of channels, so take "
        "the mean.": read(lambda p: p.abs().sum(), right),
        "You cut the channels into pieces of `growth` from the start. The first source has `first` "
        "channels.": read(size, equal),
        "You cut the output channels. A convolution's weight is (output, input, ...): what it "
        "reads is dimension 1.": read(size, outputs),
        "You took the norm of each piece, which grows with its number of channels. Take the mean "
        "absolute weight.": read(torch.norm, right),
        "You took the largest weight; take the mean.": read(lambda p: p.abs().max(), right),
        "You took the mean of squares; take the mean of absolute values.": (
            read(lambda p: p.square().mean(), right),
            read(lambda p: p.square().mean().sqrt(), right),
        ),
    }


def _check_most(most_read: Any) -> None:
    table, right = [[0.3], [0.1, 0.4], [0.5, 0.2, 0.1], [0.2, 0.6, 0.1, 0.3]], [0, 1, 0, 1]
    got = most_read([list(row) for row in table])
    if got is None:
        raise Wrong("most_read returned None. Is a `return` missing?")
    try:
        found = [number(value, "most_read") for value in got]
    except TypeError as error:
        raise Wrong(f"most_read returned {got!r}; it should be a list.") from error
    if found == [max(row) for row in table]:
        raise Wrong("most_read returned the largest values; return the number of the source each.")
    if found == [row.index(min(row)) for row in table]:
        raise Wrong("most_read returned the source that is read least.")
    if found == [value + 1 for value in right]:
        raise Wrong("most_read counts from 1. Source 0 is the block's input.")
    if found != right:
        raise Wrong(f"For the table {table} most_read should be {right}; you returned {got}.")


class _Network(nn.Module):
    """A small dense network on 8 × 8 digits."""

    def __init__(self, first: int, growth: int, layers: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, first, 3, padding=1)
        self.block = nn.ModuleList(_convolutions(first, growth, layers))
        self.norms = nn.ModuleList(nn.BatchNorm2d(first + i * growth) for i in range(layers))
        self.head = nn.Linear((first + layers * growth) * 4, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for norm, convolution in zip(self.norms, self.block, strict=True):
            x = torch.cat([x, convolution(norm(x).relu())], 1)
        logits: Tensor = self.head(nn.functional.adaptive_avg_pool2d(x, 2).flatten(1))
        return logits


def _trained() -> _Network:
    digits = load_digits()
    images = torch.tensor(digits.images[:1200], dtype=torch.float32)[:, None] / 16
    labels = torch.tensor(digits.target[:1200])
    torch.manual_seed(8)
    network = _Network(8, 6, 5)
    # Weight decay lets the weights shrink that nothing needs.
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3, weight_decay=0.05)
    for _ in range(EPOCHS):
        for batch in torch.split(torch.randperm(len(labels)), 64):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(network(images[batch]), labels[batch])
            torch.autograd.backward(loss)
            optimizer.step()
    return network


def picture(answer: ModuleType) -> Picture:
    """Train a small dense network and draw the learner's table of it."""
    table = answer.reuse(list(_trained().block), 8, 6)
    return grid(
        "A dense block after training on digits: how strongly each layer reads each source.",
        {f"layer {i}": [number(v, "reuse") for v in row] for i, row in enumerate(table)},
        columns=["input", *(f"layer {i}" for i in range(len(table) - 1))],
        y_name="mean absolute weight",
    )  # fmt: skip
