"""What the long skips of a U-Net are for: without them the edges blur.

    python examples/long_skips.py [long_skips.png] [--quick]

Two U-Nets learn to find bright shapes in noisy images: one as it is, one without its long skips.
Both find where the shapes are. But all the plain one knows has gone through 3 × 3 positions, so it
is the pixels near an edge that it gets wrong, and thin shapes altogether. It has fewer parameters
too, as nothing is concatenated; `models.unet(..., merge="add")` has the same number either way.

The picture needs matplotlib: pip install 'skipway[plot]'.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn

from skipway import models

SIZE = 48
FAR = 6  # pixels; what is further from an edge counts as this far


@dataclass
class Outcome:
    """What one network has learned.

    Attributes:
        parameters: how many it has.
        accuracy: share of right pixels, by their distance to the nearest edge: 1 pixel, 2, ...
        scores: for each test image the probability that a pixel belongs to a shape.
    """

    parameters: int
    accuracy: np.ndarray
    scores: np.ndarray


def shapes(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return noisy images of ellipses, bars and stars, and which pixels belong to one."""
    random = np.random.default_rng(seed)
    masks = np.stack([_mask(random) for _ in range(count)])
    contrast = random.uniform(0.7, 1.0, (count, 1, 1))
    images = contrast * masks + random.normal(0, 0.35, masks.shape)
    return (
        torch.tensor(images[:, None], dtype=torch.float32),
        torch.tensor(masks[:, None], dtype=torch.float32),
    )


def _mask(random: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[:SIZE, :SIZE]
    mask = np.zeros((SIZE, SIZE), bool)
    for _ in range(random.integers(2, 5)):
        down, across = random.uniform(8, SIZE - 8, 2)
        angle = random.uniform(0, np.pi)
        along = (x - across) * np.cos(angle) + (y - down) * np.sin(angle)
        aside = (y - down) * np.cos(angle) - (x - across) * np.sin(angle)
        kind = random.integers(3)
        if kind == 0:
            axes = random.uniform(4, 10, 2)
            mask |= (along / axes[0]) ** 2 + (aside / axes[1]) ** 2 < 1
        elif kind == 1:
            mask |= (abs(along) < random.uniform(6, 15)) & (abs(aside) < random.uniform(1.2, 2.5))
        else:
            wave = 1 + 0.4 * np.cos(random.integers(3, 6) * np.arctan2(aside, along))
            mask |= np.hypot(along, aside) < random.uniform(5, 9) * wave
    return mask


def distance_to_edge(masks: np.ndarray) -> np.ndarray:
    """Return for each pixel how far the nearest pixel of the other kind is, at most `FAR`."""
    edt = ndimage.distance_transform_edt
    return np.stack([np.where(m, edt(m), edt(~m)) for m in masks > 0.5]).round().clip(1, FAR)


def learn(plain: bool, steps: int, seed: int) -> Outcome:
    """Train one network and look at images it has not seen."""
    torch.manual_seed(seed)
    network = models.unet(1, 1, width=8, depth=4, plain=plain)
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)
    images, masks = shapes(512, seed=seed)
    for step in range(steps):
        some = torch.arange(8 * step, 8 * (step + 1)) % len(images)
        loss = nn.functional.binary_cross_entropy_with_logits(network(images[some]), masks[some])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    images, masks = shapes(64, seed=1_000_000)
    with torch.no_grad():
        scores = network.eval()(images).sigmoid()
    right = ((scores > 0.5) == (masks > 0.5))[:, 0].numpy()
    distance = distance_to_edge(masks[:, 0].numpy())
    accuracy = np.array([right[distance == d].mean() for d in range(1, FAR + 1)])
    return Outcome(sum(p.numel() for p in network.parameters()), accuracy, scores[:, 0].numpy())


def show(outcomes: dict[str, list[Outcome]]) -> None:
    """Print the accuracy near the edges and far from them."""
    print("Right pixels, %, on images not trained on (mean and range over the seeds)")
    print(f"{'':<20}{'at an edge (1 px)':>24}{'3 px from it':>24}{'parameters':>13}")
    for name, found in outcomes.items():
        near, far = ([100 * outcome.accuracy[d] for outcome in found] for d in (0, 2))
        print(f"{name:<20}{_range(near):>24}{_range(far):>24}{found[0].parameters:>13,}")


def _range(values: list[float]) -> str:
    return f"{np.mean(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def draw(outcomes: dict[str, list[Outcome]], path: str) -> None:
    """Draw three images with both answers, and the accuracy against the distance to an edge."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure = plt.figure(figsize=(11, 5.2), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1.75, 1))
    _draw_images(left, outcomes)
    _draw_accuracy(right.subplots(), outcomes)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _draw_images(figure, outcomes: dict[str, list[Outcome]]) -> None:
    images, masks = (part[:, 0].numpy() for part in shapes(64, seed=1_000_000))
    titles = ("image", "truth", *outcomes)
    grid = figure.subplots(3, len(titles), squeeze=False)
    for row, index in zip(grid, (0, 1, 2), strict=True):
        answers = [found[0].scores[index] for found in outcomes.values()]
        for axes, picture in zip(row, (images[index], masks[index], *answers), strict=True):
            axes.imshow(picture, cmap="gray", vmin=-0.3 if picture is images[index] else 0, vmax=1)
            axes.set(xticks=[], yticks=[])
        for axes in row[2:]:
            axes.contour(masks[index], [0.5], colors="#e8590c", linewidths=0.8)
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title, fontsize=10)
    figure.supxlabel("orange: the true edges", fontsize=9, color="#e8590c")


def _draw_accuracy(axes, outcomes: dict[str, list[Outcome]]) -> None:
    distance = np.arange(1, FAR + 1)
    for (name, found), colour in zip(outcomes.items(), ("#1f6f8b", "#c0392b"), strict=True):
        values = 100 * np.stack([outcome.accuracy for outcome in found])
        axes.fill_between(distance, values.min(0), values.max(0), color=colour, alpha=0.2, lw=0)
        axes.plot(distance, values.mean(0), "o-", color=colour, markersize=4, label=name)
    axes.set(xlabel="distance to the nearest edge, pixels", ylabel="right pixels, %")
    axes.set_xticks(distance, [*map(str, distance[:-1]), f"{FAR}+"])
    axes.set_title("Without long skips, edges blur", loc="left", fontsize=11)
    axes.legend(frameon=False, loc="lower right")
    axes.spines[["top", "right"]].set_visible(False)


def main() -> None:
    """Train both, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("picture", nargs="?", default="long_skips.png")
    parser.add_argument("--quick", action="store_true", help="a few steps, one seed")
    arguments = parser.parse_args()
    steps, seeds = (4, 1) if arguments.quick else (160, 2)
    outcomes = {
        name: [learn(plain, steps, seed) for seed in range(seeds)]
        for name, plain in (("with long skips", False), ("without", True))
    }
    show(outcomes)
    draw(outcomes, arguments.picture)
    print(f"Drawn in {arguments.picture}")


if __name__ == "__main__":
    main()
