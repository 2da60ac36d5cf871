"""Skip by concatenation: many channels late in a block, few parameters, features used again.

    python examples/concatenation.py [concatenation.png] [--quick]

DenseNets and ResNets of several sizes learn scikit-learn's digits. Shown are how many channels the
layers of a block read, what accuracy the parameters buy, and, for the largest DenseNet, how much
each layer takes from each earlier one: the mean |weight| (Huang et al. 2016, arXiv:1608.06993,
figure 5). On these small images most of them come close to 99 %, so the second panel compares
parameters at nearly equal accuracy; one seed for each network. Mean weights are alike at the start,
whatever is needed; so the decay is strong enough that weights nobody needs nearly vanish.

The picture needs matplotlib: pip install 'skipway[plot]'.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

from skipway import models

DEPTH_DENSE, DEPTH_RESIDUAL = 22, 20
GROWTHS, WIDTHS = (2, 4, 8), (2, 4, 8)


@dataclass
class Outcome:
    """What one network has learned."""

    name: str
    parameters: int
    accuracy: float


def digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return images and labels to learn from, and others to judge by."""
    data = load_digits()
    images = torch.tensor(data.images, dtype=torch.float32)[:, None] / 16
    labels = torch.tensor(data.target)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    known, unseen = order[:1300], order[1300:]
    return images[known], labels[known], images[unseen], labels[unseen]


def learn(name: str, network: nn.Module, epochs: int) -> Outcome:
    """Train one network and count its right answers on images it has not seen."""
    images, labels, unseen, truth = digits()
    batches = [order.split(50) for order in (torch.randperm(len(images)) for _ in range(epochs))]
    steps = [batch for epoch in batches for batch in epoch]
    optimizer, schedule = steps_of(list(network.parameters()), len(steps))
    for batch in steps:
        optimizer.zero_grad()
        F.cross_entropy(network(images[batch]), labels[batch]).backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        right = network.eval()(unseen).argmax(1) == truth
    count = sum(parameter.numel() for parameter in network.parameters())
    return Outcome(name, count, 100 * right.double().mean().item())


def steps_of(parameters: list[nn.Parameter], count: int):
    """Return the optimizer of all trainings, and its schedule."""
    # Enough decay that weights which nobody needs shrink within these few epochs.
    optimizer = torch.optim.SGD(parameters, 0.1, momentum=0.9, weight_decay=2e-2)
    return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=count)


def left_by_decay(epochs: int) -> float:
    """Return what such a training leaves of a weight of 1 that no gradient ever reaches."""
    unneeded = nn.Parameter(torch.ones(()))
    unneeded.grad = torch.zeros(())
    count = epochs * -(-len(digits()[0]) // 50)
    optimizer, schedule = steps_of([unneeded], count)
    for _ in range(count):
        optimizer.step()
        schedule.step()
    return unneeded.item()


def reuse(block: nn.Module, after: nn.Module, growth: int) -> np.ndarray:
    """Return the mean |weight| from every source (columns) to every layer and what follows (rows).

    The first source is the block's input, the others are its layers. What is not read is NaN.
    """
    readers = [*(layer.conv1 for layer in block.children()), after]
    table = np.full((len(readers), len(readers)), np.nan)
    first = readers[0].weight.shape[1]
    for row, reader in enumerate(readers):
        weight = (
            reader.weight.detach().abs().flatten(2).mean((0, 2))
            if reader.weight.ndim == 4
            else reader.weight.detach().abs().mean(0)
        )
        sources = weight.split([first, *[growth] * row])
        table[row, : row + 1] = [source.mean().item() for source in sources]
    return table


def reuse_of(network: models.DenseNet, growth: int) -> list[np.ndarray]:
    """Return the table of each of the three blocks."""
    features = network.features
    ends = (features.transition1.conv, features.transition2.conv, network.classifier)
    blocks = (features.denseblock1, features.denseblock2, features.denseblock3)
    return [reuse(block, end, growth) for block, end in zip(blocks, ends, strict=True)]


def channels_read() -> dict[str, list[int]]:
    """Return how many channels each convolution of the first stage reads, in the largest two."""
    dense = models.cifar_densenet(DEPTH_DENSE, GROWTHS[-1], in_channels=1).features.denseblock1
    residual = models.cifar_resnet(DEPTH_RESIDUAL, width=WIDTHS[-1], in_channels=1).layer1
    found = {"DenseNet": dense, "ResNet": residual}
    return {
        name: [m.in_channels for m in stage.modules() if isinstance(m, nn.Conv2d)]
        for name, stage in found.items()
    }


def show(
    outcomes: list[Outcome], tables: list[np.ndarray], starts: list[np.ndarray], left: float
) -> None:
    """Print what the picture shows, and hold the map against one of weights nobody needs."""
    for name, channels in channels_read().items():
        print(f"Channels read by the layers of {name}'s first block: {channels}")
    print(f"\n{'':<22}{'parameters':>12}{'right on unseen digits':>26}")
    for outcome in outcomes:
        print(f"{outcome.name:<22}{outcome.parameters:>12,}{outcome.accuracy:>24.1f} %")
    last = tables[-1][-1] / tables[-1][-1].mean()
    print(f"\nThe classifier reads the last block's input at {last[0]:.2f} times the mean weight,")
    print(f"its first layer at {last[1]:.2f}, its last at {last[-1]:.2f}.")
    pairs = zip(tables, starts, strict=True)
    kept = np.concatenate([(table / start)[np.isfinite(table)] for table, start in pairs])
    many = (kept > 2 * left).sum()
    print(
        f"A weight that nobody needs would keep {left:.2f} of its start. Of the {kept.size} squares"
    )
    print(f"in the map, {many} have kept more than twice that.")


def draw(outcomes: list[Outcome], tables: list[np.ndarray], path: str) -> None:
    """Draw the three panels."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure = plt.figure(figsize=(11, 6.4), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=(1, 1.05))
    _draw_counts(top.subplots(1, 2), outcomes)
    _draw_reuse(bottom, tables)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _draw_counts(axes, outcomes: list[Outcome]) -> None:
    colours = {"DenseNet": "#1f6f8b", "ResNet": "#c0392b"}
    for name, channels in channels_read().items():
        layers = range(1, len(channels) + 1)
        axes[0].plot(layers, channels, "o-", color=colours[name], markersize=4, label=name)
        found = [outcome for outcome in outcomes if outcome.name.startswith(name)]
        points = [(outcome.parameters, outcome.accuracy) for outcome in found]
        axes[1].plot(
            *zip(*points, strict=True), "o-", color=colours[name], markersize=4, label=name
        )
    axes[0].set(xlabel="layer of the first block", ylabel="channels read", ylim=0)
    axes[0].set_title("Concatenated, channels add up", loc="left", fontsize=11)
    axes[0].legend(frameon=False)
    axes[1].set(xscale="log", xlabel="parameters", ylabel="right, %")
    axes[1].set_title("What the parameters buy", loc="left", fontsize=11)
    axes[1].legend(frameon=False, loc="lower right")
    for panel in axes:
        panel.spines[["top", "right"]].set_visible(False)


def _draw_reuse(figure, tables: list[np.ndarray]) -> None:
    panels = figure.subplots(1, len(tables))
    for number, (panel, table) in enumerate(zip(panels, tables, strict=True), 1):
        # Each reader against its own largest weight, as the paper's colours are relative too.
        image = panel.imshow(table / np.nanmax(table, 1, keepdims=True), cmap="viridis", vmin=0)
        count = len(table)
        reader = "classifier" if number == len(tables) else "transition"
        panel.set_xticks(range(count), ["in", *map(str, range(1, count))], fontsize=8)
        panel.set_yticks(range(count), [*map(str, range(1, count)), reader], fontsize=8)
        panel.set(xlabel="source layer")
        panel.set_title(f"Block {number}", loc="left", fontsize=11)
        panel.spines[:].set_visible(False)
    panels[0].set_ylabel("reading layer")
    bar = figure.colorbar(image, ax=panels, shrink=0.8)
    bar.set_label("mean |weight|, largest of the row = 1", fontsize=9)


def main() -> None:
    """Train all, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("picture", nargs="?", default="concatenation.png")
    parser.add_argument("--quick", action="store_true", help="one epoch for each network")
    arguments = parser.parse_args()
    epochs = 1 if arguments.quick else 10
    outcomes = []
    for width in WIDTHS:
        torch.manual_seed(0)
        residual = models.cifar_resnet(DEPTH_RESIDUAL, width=width, in_channels=1)
        outcomes.append(learn(f"ResNet-20, width {width}", residual, epochs))
    for growth in GROWTHS:
        torch.manual_seed(0)
        dense = models.cifar_densenet(DEPTH_DENSE, growth, in_channels=1)
        starts = reuse_of(dense, growth)
        outcomes.append(learn(f"DenseNet-22, k = {growth}", dense, epochs))
    tables = reuse_of(dense, growth)
    show(outcomes, tables, starts, left_by_decay(epochs))
    draw(outcomes, tables, arguments.picture)
    print(f"Drawn in {arguments.picture}")


if __name__ == "__main__":
    main()
