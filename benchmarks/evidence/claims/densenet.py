"""DenseNet: fewer parameters for the same accuracy, and features that are used again and again.

python benchmarks/evidence/claims/densenet.py
"""

from __future__ import annotations

import copy
import math
import statistics
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from images import Learn, accuracy, case_of, fashion, notes_in
from record import Claim, gap
from torch import Tensor, nn

from skipway import Comparison
from skipway.models import DenseNet, cifar_densenet, cifar_resnet

SEEDS = 5
EPOCHS = 6
WIDTHS = (2, 4, 8, 12)  # of ResNet-20
GROWTHS = (2, 3, 4)  # of DenseNet-BC-40: six layers in each of three blocks
DEPTH = 40
OLD = 3


class LearnAndTell(Learn):
    """Also notes how much each layer takes from each earlier one, and what that is worth."""

    def more(self, model: nn.Module, test: tuple[Tensor, Tensor]) -> Mapping[str, Any]:
        """Return the table of each block of a DenseNet, and its accuracy without old features."""
        if not isinstance(model, DenseNet):
            return {}
        told = {"reuse": reuse(model), "whole": accuracy(model, test)}
        return {**told, "cut": accuracy(cut(model), test)}


def cut(model: nn.Module) -> nn.Module:
    """Return a copy whose layers read nothing that is older than `OLD` layers, input and all."""
    model = copy.deepcopy(model)
    with torch.no_grad():
        for name, block in model.features.named_children():
            if not name.startswith("denseblock"):
                continue
            layers = list(block.children())
            first, grown = layers[0].conv1.weight.shape[1], layers[0].conv2.weight.shape[0]
            for row in range(OLD, len(layers)):
                layers[row].conv1.weight[:, : first + grown * (row - OLD)] = 0
    return model


def reuse(model: nn.Module) -> list[list[list[float]]]:
    """Return mean |weight| by reading layer (rows) and source (columns), for each of three blocks.

    The first source is what comes into the block; the last row is what follows it: the transition,
    or the classifier.
    """
    features: Any = model.features
    ends = (features.transition1.conv, features.transition2.conv, model.classifier)
    blocks = (features.denseblock1, features.denseblock2, features.denseblock3)
    tables = []
    for block, end in zip(blocks, ends, strict=True):
        layers = list(block.children())
        readers = [*(layer.conv1 for layer in layers), end]
        first = layers[0].conv1.weight.shape[1]
        grown = layers[0].conv2.weight.shape[0]
        table = []
        for row, reader in enumerate(readers):
            channels = reader.weight.detach().abs().flatten(2 if reader.weight.ndim > 2 else 1)
            each = channels.mean([axis for axis in range(channels.ndim) if axis != 1])
            parts = each.split([first, *[grown] * row])
            table.append([float(part.mean()) for part in parts])
        tables.append(table)
    return tables


def networks() -> dict[str, Any]:
    found = {
        f"ResNet-20, width {w}": partial(cifar_resnet, 20, width=w, in_channels=1) for w in WIDTHS
    }
    for k in GROWTHS:
        build = partial(cifar_densenet, DEPTH, k, bottleneck=True, in_channels=1)
        found[f"DenseNet-BC-{DEPTH}, k = {k}"] = build
    return found


def curve(result: Comparison, family: str, seed: int) -> tuple[list[float], list[float]]:
    """Return log10 of the parameters and the test accuracy of one family, as one seed saw it."""
    chosen = [v for v in result.variants if v.name.startswith(family)]
    sizes = [math.log10(v.parameters) for v in chosen]
    return sizes, [v.runs[seed].test[-1] for v in chosen]


def fewer(result: Comparison, seed: int) -> float:
    """Return how many times the parameters of a DenseNet a ResNet needs, at equal accuracy.

    A straight line through each family (accuracy over the logarithm of the size) is read at the
    accuracy that both reach in the middle.
    """
    lines = []
    levels = []
    for family in ("ResNet", "DenseNet"):
        sizes, ends = curve(result, family, seed)
        lines.append(np.polyfit(ends, sizes, 1))
        levels.append((min(ends), max(ends)))
    level = (max(low for low, _ in levels) + min(high for _, high in levels)) / 2
    resnet, dense = (float(np.polyval(line, level)) for line in lines)
    return float(10 ** (resnet - dense))


def shares(tables: list[list[list[float]]]) -> tuple[float, float]:
    """Return how much the weights say is read of old features.

    First the mean |weight| on features older than `OLD` layers over that on the newest, within the
    blocks; then the least share of any source in what a transition or the classifier reads.
    """
    far, near = [], []
    for table in tables:
        for row in range(OLD, len(table) - 1):
            far += table[row][: row - OLD + 1]
            near.append(table[row][row])
    least = min(min(table[-1]) / statistics.fmean(table[-1]) for table in tables)
    return statistics.fmean(far) / statistics.fmean(near), least


def main() -> None:
    claim = Claim(
        __file__,
        "A DenseNet needs a third of the parameters of a ResNet for the same accuracy, because "
        "its layers use the features of all earlier ones, the transitions too.",
        "Huang et al. 2016 (arXiv:1608.06993), section 4.4 and figures 4 and 5",
        SEEDS,
    )
    data = fashion(3000, 2000)
    notes = claim.folder("Fashion-MNIST") / "notes.jsonl"
    # Enough decay that weights which nobody needs shrink within these few epochs.
    cases = {
        name: case_of("Fashion-MNIST", data, build, LearnAndTell(name, notes, EPOCHS, decay=2e-3))
        for name, build in networks().items()
    }
    result = claim.compare("Fashion-MNIST", cases, controls=False)
    for variant in result.variants:
        claim.row(
            network=variant.name, parameters=variant.parameters, test_accuracy=variant.median,
            least=variant.low, most=variant.high, rate_factor=variant.factor,
        )  # fmt: skip
    told = notes_in(notes)
    largest = result.variants[-1]
    kept = [told[largest.name, seed, largest.factor] for seed in range(SEEDS)]
    tables = [table(block, [each["reuse"] for each in kept]) for block in range(3)]
    for block, rows in enumerate(tables, 1):
        for reader, weights in enumerate(rows, 1):
            reading = reader if reader < len(rows) else ("transition", "classifier")[block == 3]
            for source, weight in enumerate(weights):
                claim.row(block=block, reader=reading, source=source or "in", weight=weight)
    axes = claim.axes(x="parameters", y="test accuracy, %", log="x")
    for family in ("ResNet", "DenseNet"):
        ends = [(v.parameters, v.median) for v in result.variants if v.name.startswith(family)]
        axes.plot(*zip(*ends, strict=True), "o-", label=family)
    inset(axes, tables[-1])
    ratios = [fewer(result, seed) for seed in range(SEEDS)]
    found, holds = verdict(ratios, tables, kept)
    claim.close(found, holds=holds, axes=axes)


def table(block: int, kept: list[list[list[list[float]]]]) -> list[list[float]]:
    """Return the mean over the seeds of one block's table."""
    rows = zip(*(seed[block] for seed in kept), strict=True)
    return [[statistics.fmean(each) for each in zip(*row, strict=True)] for row in rows]


def inset(axes: Any, rows: list[list[float]]) -> None:
    """Draw the last block's table: each reader against its own largest weight."""
    whole = np.full((len(rows), len(rows)), np.nan)
    for number, row in enumerate(rows):
        whole[number, : len(row)] = np.array(row) / max(row)
    small = axes.inset_axes((0.62, 0.08, 0.36, 0.42))
    small.imshow(whole, cmap="viridis", vmin=0, vmax=1)
    small.set_xticks(range(len(rows)), ["in", *range(1, len(rows))], fontsize=7)
    small.set_yticks(range(len(rows)), [*range(1, len(rows)), "out"], fontsize=7)
    small.set_title("mean |weight|, last block:\nreader by source", fontsize=7)


def verdict(ratios: list[float], tables: Any, kept: list[dict[str, Any]]) -> tuple[str, str]:
    """Return what was found, and whether the claim holds."""
    middle = 10 ** statistics.fmean(map(math.log10, ratios))
    weights, least = shares(tables)
    loss = gap([each["whole"] for each in kept], [each["cut"] for each in kept])
    found = (
        f"Fashion-MNIST (3,000 images of 14 × 14), {SEEDS} seeds: at equal accuracy a ResNet-20 "
        f"has {middle:.1f} times the parameters of a DenseNet-BC-{DEPTH} ({min(ratios):.1f} to "
        f"{max(ratios):.1f} over the seeds). In the largest DenseNet the mean weight on features "
        f"of {OLD} or more layers back is {weights:.2f} times that on the newest, and of what a "
        f"transition or the classifier reads no source has less than {least:.2f} of the mean; but "
        "all weights start alike, so what counts is that without those old features the accuracy "
        f"falls by {loss} points."
    )
    compact, used = min(ratios) > 1, loss.sign == 1
    return found, "yes" if compact and used else "partly" if compact or used else "no"


if __name__ == "__main__":
    main()
