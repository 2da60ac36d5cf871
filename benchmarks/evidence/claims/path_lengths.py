"""Which path lengths carry the gradient in a deep residual network?

python benchmarks/evidence/claims/path_lengths.py
"""

from __future__ import annotations

import math

import numpy as np
import torch
from record import Claim
from sklearn.datasets import load_digits
from torch import Tensor, nn

from skipway.nn import Skip

BLOCKS = 54  # as many as ResNet-110 has
LENGTHS = (1, 2, 3, 5, 7, 10, 14, 18, 23, 28, 34, 41, 48, 54)
DRAWS = 12
SEEDS = 3


def branch(width: int) -> nn.Module:
    layers = [
        part
        for _ in range(2)
        for part in (nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, width))
    ]
    return nn.Sequential(*layers)


def trained(seed: int, x: Tensor, y: Tensor) -> nn.Sequential:
    """Return a residual network of 54 blocks after a few epochs, and how good it is."""
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(64, 48), *(Skip(branch(48)) for _ in range(BLOCKS)), nn.Linear(48, 10)
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    for _ in range(4):
        for index in torch.randperm(1400).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[index]), y[index]).backward()
            optimizer.step()
    return model.eval()


def gradient_over(model: nn.Sequential, x: Tensor, y: Tensor, chosen: set[int]) -> float:
    """Return the norm of the loss's gradient at the first block that comes over one path.

    The forward is the whole network's; going back, the chosen blocks pass the gradient through
    their branch alone and the others through their skip alone.
    """
    first, *blocks, head = model
    h = begin = first(x).detach().requires_grad_()
    for number, block in enumerate(blocks):
        f = block.body(h)
        h = h.detach() + f if number in chosen else h + f.detach()
    loss = nn.functional.cross_entropy(head(h), y)
    (gradient,) = torch.autograd.grad(loss, begin)
    return float(gradient.double().norm())


def main() -> None:
    claim = Claim(
        __file__,
        "Most of the gradient of a residual network of 54 blocks comes over paths far shorter than "
        "the network is deep (in ResNet-110, 10 to 34 layers, which is 5 to 17 blocks).",
        "Veit, Wilber & Belongie 2016 (arXiv:1605.06431)",
        SEEDS,
    )
    digits = load_digits()
    x = torch.tensor(digits.data, dtype=torch.float32) / 16
    y = torch.tensor(digits.target)
    random = np.random.default_rng(0)
    norms = np.zeros((SEEDS, len(LENGTHS)))
    right = []
    for seed in range(SEEDS):
        model = trained(seed, x, y)
        right.append(float((model(x[1400:]).argmax(1) == y[1400:]).double().mean()))
        for at, length in enumerate(LENGTHS):
            draws = [set(random.choice(BLOCKS, length, replace=False)) for _ in range(DRAWS)]
            norms[seed, at] = np.mean([gradient_over(model, x[:64], y[:64], d) for d in draws])
    # Between the lengths measured, the logarithm is interpolated; each length has its paths.
    every = np.arange(1, BLOCKS + 1)
    typical = np.exp(np.interp(every, LENGTHS, np.log(norms.mean(0) + 1e-300)))
    paths = np.array([math.comb(BLOCKS, int(length)) for length in every], dtype=float)
    share = paths * typical
    share /= share.sum()
    for length in LENGTHS:
        claim.row(
            blocks_on_the_path=length, gradient_of_one_path=float(typical[length - 1]),
            paths=float(paths[length - 1]), share_of_all=float(share[length - 1]),
        )  # fmt: skip
    total = np.cumsum(share)
    low, high = int(every[np.searchsorted(total, 0.05)]), int(every[np.searchsorted(total, 0.95)])
    axes = claim.axes(x="blocks on the path (of 54)", y="share")
    axes.plot(every, share, "-", label="of the gradient")
    axes.plot(every, paths / paths.sum(), "--", label="of the paths")
    fall = (typical[22] / typical[0]) ** (1 / 22)  # over the lengths that carry anything
    claim.close(
        f"On digits (test accuracy {100 * min(right):.0f} to {100 * max(right):.0f} %) one path "
        f"carries {fall:.2f} times as much with each further block on it; 90 % of the gradient "
        f"comes over {low} to {high} of 54 blocks, while 90 % of the paths have 21 to 33.",
        holds="yes" if high < 27 else "partly" if low < 21 else "no",
        axes=axes,
    )


if __name__ == "__main__":
    main()
