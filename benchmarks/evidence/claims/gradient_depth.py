"""The gradient of the first layer against depth: exponential, subexponential, flat.

python benchmarks/evidence/claims/gradient_depth.py
"""

from __future__ import annotations

import math

import numpy as np
import torch
from record import Claim
from torch import Tensor, nn

import skipway

DEPTHS = (5, 10, 20, 50, 100, 200, 500, 1000)
SEEDS = 5
WIDTH = 64


class Tower(nn.Module):
    """Layers of tanh: bare, with a skip around each, or with a skip and a branch of 1 / depth."""

    def __init__(self, depth: int, kind: str) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(depth))
        self.head, self.kind = nn.Linear(WIDTH, 10), kind
        for layer in self.layers:  # the start of Glorot, for which tanh keeps the signal longest
            nn.init.xavier_normal_(layer.weight)

    def forward(self, x: Tensor) -> Tensor:
        depth = len(self.layers)
        for layer in self.layers:
            f = torch.tanh(layer(x))
            x = f if self.kind == "plain" else x + f * (1 if self.kind == "skips" else 1 / depth)
        return self.head(x)


def first_against_last(kind: str, depth: int, seed: int) -> float:
    """Return by how much the gradient at the first layer is larger than at the last."""
    torch.manual_seed(seed)
    model = Tower(depth, kind).double()
    batch = torch.randn(32, WIDTH, dtype=torch.float64), torch.randint(10, (32,))
    found = skipway.diagnose(model, batch, nn.functional.cross_entropy)
    norms = [layer.gradient for layer in found.layers if layer.name.startswith("layers.")]
    return norms[0] / norms[-1]


def main() -> None:
    claim = Claim(
        __file__,
        "The gradient decays exponentially with depth in plain tanh networks and changes more "
        "slowly than that with skips; where each branch is divided by the depth it hardly changes.",
        "Yang & Schoenholz 2017 (arXiv:1712.08969); Marion et al., JMLR 26",
        SEEDS,
    )
    axes = claim.axes(x="hidden layers", y="gradient, first over last layer", log="xy")
    medians = {}
    for kind in ("plain", "skips", "skips, branch / depth"):
        for depth in DEPTHS:
            ratios = [first_against_last(kind, depth, seed) for seed in range(SEEDS)]
            medians[kind, depth] = float(np.median(ratios))
            claim.row(
                kind=kind, depth=depth, median=medians[kind, depth], least=min(ratios),
                most=max(ratios),
            )  # fmt: skip
        axes.plot(DEPTHS, [medians[kind, depth] for depth in DEPTHS], "o-", label=kind)

    def logs(kind: str) -> np.ndarray:
        return np.log10([max(medians[kind, depth], 1e-320) for depth in DEPTHS])

    deep = np.array(DEPTHS, dtype=float)
    rate = float(np.polyfit(deep, logs("plain"), 1)[0])
    straight = float(np.corrcoef(deep, logs("plain"))[0, 1] ** 2)
    # log10 of the ratio as a power of the depth: 1 is exponential, below it subexponential.
    power = float(np.polyfit(np.log10(deep), np.log10(np.abs(logs("skips"))), 1)[0])
    flat = max(abs(math.log10(medians["skips, branch / depth", depth])) for depth in DEPTHS)
    claim.close(
        f"Plain: a factor of {10**rate:.3f} a layer, {medians['plain', 1000]:.0e} at 1,000 layers "
        f"(the logarithm is straight in the depth, R² {straight:.2f}). With skips it grows towards "
        f"the input, and its logarithm only as depth to the power {power:.2f}: "
        f"{medians['skips', 1000]:.0e} at 1,000 layers. With branches divided by the depth it "
        f"stays within a factor of {10**flat:.2f}.",
        holds="yes" if straight > 0.98 and power < 0.85 and flat < 0.1 else "partly",
        axes=axes,
    )


if __name__ == "__main__":
    main()
