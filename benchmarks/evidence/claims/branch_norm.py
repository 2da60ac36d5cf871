"""Batch norm makes the branch smaller than the stream by about the square root of the depth.

python benchmarks/evidence/claims/branch_norm.py
"""

from __future__ import annotations

import numpy as np
import torch
from record import Claim
from torch import Tensor, nn

from skipway import models

SEEDS = 5


def shares(seed: int) -> list[float]:
    """Return, block by block, branch over stream as root mean squares, at the start of training."""
    torch.manual_seed(seed)
    # Pre-activation, so that the stream is the plain sum of all branches, as in the paper.
    network = models.resnet152(preact=True, stem="cifar", num_classes=10).train()
    found: list[float] = []

    def before(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        stream.append(args[0])

    def after(module: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> None:
        x = stream.pop()
        if x.shape == out.shape:
            found.append(float((out - x).double().square().mean().sqrt()
                               / x.double().square().mean().sqrt()))  # fmt: skip

    stream: list[Tensor] = []
    blocks = list(network.layer3)  # the longest run of blocks without a change of shape
    for block in blocks:
        block.register_forward_pre_hook(before)
        block.register_forward_hook(after)
    with torch.no_grad():
        network(torch.randn(16, 3, 32, 32))
    return found


def main() -> None:
    claim = Claim(
        __file__,
        "Batch normalisation downscales the residual branch, relative to the stream, by about the "
        "square root of the depth, which is why normalised residual networks start well.",
        "De & Smith 2020 (arXiv:2002.10444)",
        SEEDS,
    )
    all_shares = np.array([shares(seed) for seed in range(SEEDS)])
    median = np.median(all_shares, axis=0)
    blocks = np.arange(2, len(median) + 2, dtype=float)  # the first has a projection
    for block, share, own in zip(blocks, median, all_shares.T, strict=True):
        claim.row(block=int(block), median=float(share), least=float(own.min()),
                  most=float(own.max()))  # fmt: skip
    power = float(np.polyfit(np.log(blocks), np.log(median), 1)[0])
    axes = claim.axes(x="block", y="branch over stream, root mean square", log="xy")
    axes.plot(blocks, median, "o", label="measured, median of 5 seeds")
    axes.plot(blocks, 1 / np.sqrt(blocks - 1), "-", label="1 / sqrt(blocks before)")
    claim.close(
        f"In stage 3 of a pre-activation ResNet-152 at its start the branch is {median[0]:.2f} of "
        f"the stream at block 2 and {median[-1]:.2f} at block {int(blocks[-1])}: depth to the "
        f"power {power:.2f}, against −0.5.",
        holds="yes" if abs(power + 0.5) < 0.1 else "partly",
        axes=axes,
    )


if __name__ == "__main__":
    main()
