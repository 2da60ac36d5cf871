"""What the building blocks cost: forward and backward of each against a rival, in one run.

    python benchmarks/speed/building_blocks.py [ROUNDS]

Needs the packages `hyper-connections` and `einops` besides skipway. The rival is the form written
by hand in plain PyTorch, for hyper-connections the package's too. Each round runs both, in turned
order; the ratio is the median over the rounds of ours / rival, so below 1 is faster.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import torch
from hyper_connections import HyperConnections as PackageHC
from hyper_connections import ManifoldConstrainedHyperConnections as PackageMHC
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent.parent))

import by_hand
from measure import alternate, machine, ratio, write

from skipway import nn as sn

WIDTH, DEPTH, STREAMS = 64, 12, 4
TOKENS = (8, 128, WIDTH)


def block(width: int = WIDTH) -> nn.Module:
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU())


def blocks(width: int = WIDTH) -> list[nn.Module]:
    return [block(width) for _ in range(DEPTH)]


def body() -> nn.Module:
    return nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH))


def step(module: nn.Module, shape: tuple[int, ...], times: int) -> Callable[[], None]:
    x = torch.randn(shape, requires_grad=True)

    def run() -> None:
        for _ in range(times):
            module(x).sum().backward()

    return run


class Package(nn.Module):
    """Blocks wrapped by the package's class, between its expand and reduce."""

    def __init__(self, kind: type[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            kind(STREAMS, dim=WIDTH, branch=block(), layer_index=i) for i in range(DEPTH)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x.repeat_interleave(STREAMS, 0)
        for layer in self.layers:
            x = layer(x)
        return x.unflatten(0, (-1, STREAMS)).mean(1)


def pairs() -> dict[str, tuple[nn.Module, nn.Module, tuple[int, ...], int]]:
    """Return ours, the rival, the shape, and how many steps make one timing."""
    hyper = {"features": WIDTH}
    return {
        "Skip(body), batch 64": (sn.Skip(body()), by_hand.Add(body()), (64, WIDTH), 5),
        "Skip(body), batch 1024": (sn.Skip(body()), by_hand.Add(body()), (1024, WIDTH), 5),
        "Skip, ReZero": (sn.Skip(body(), gate="rezero"), by_hand.ReZero(body()), (64, WIDTH), 5),
        "Skip, concatenation": (
            sn.Skip(body(), merge=sn.Concat(-1)), by_hand.Concat(body()), (64, WIDTH), 5
        ),
        "Residual": (sn.Stack(blocks()), by_hand.Residual(blocks()), TOKENS, 4),
        "DeepNorm": (
            sn.Stack(blocks(), sn.DeepNorm(WIDTH)), by_hand.DeepNorm(blocks(), WIDTH), TOKENS, 4
        ),
        "Fixup": (sn.Stack(blocks(), sn.Fixup()), by_hand.Fixup(blocks()), TOKENS, 4),
        "Dense": (
            sn.Stack([nn.Linear(WIDTH + 8 * i, 8) for i in range(DEPTH)], sn.Dense(-1)),
            by_hand.Dense([nn.Linear(WIDTH + 8 * i, 8) for i in range(DEPTH)]), TOKENS, 4,
        ),
        "DenseFormer": (
            sn.Stack(blocks(), sn.DenseFormer()), by_hand.DenseFormer(blocks()), TOKENS, 4
        ),
        "Reversible, against the same without recomputing": (
            sn.Stack(blocks(WIDTH // 2), sn.Reversible(dim=-1)),
            by_hand.Reversible(blocks(WIDTH // 2)), TOKENS, 4,
        ),
        "AttentionResiduals": (
            sn.Stack(blocks(), sn.AttentionResiduals(WIDTH)),
            by_hand.AttentionResiduals(blocks(), WIDTH), TOKENS, 2,
        ),
        "DeltaAttentionResiduals": (
            sn.Stack(blocks(), sn.DeltaAttentionResiduals(WIDTH, gate=None)),
            by_hand.DeltaAttentionResiduals(blocks(), WIDTH), TOKENS, 2,
        ),
        "HyperConnections, static": (
            sn.Stack(blocks(), sn.HyperConnections(STREAMS)),
            by_hand.StaticHyperConnections(blocks(), STREAMS), TOKENS, 2,
        ),
        "HyperConnections, dynamic": (
            sn.Stack(blocks(), sn.HyperConnections(STREAMS, **hyper)),
            by_hand.HyperConnections(blocks(), STREAMS, WIDTH), TOKENS, 2,
        ),
        "HyperConnections, dynamic, against the package": (
            sn.Stack(blocks(), sn.HyperConnections(STREAMS, **hyper)), Package(PackageHC),
            TOKENS, 2,
        ),
        "ManifoldHyperConnections": (
            sn.Stack(blocks(), sn.ManifoldHyperConnections(STREAMS, **hyper)),
            by_hand.ManifoldHyperConnections(blocks(), STREAMS, WIDTH), TOKENS, 2,
        ),
        "ManifoldHyperConnections, against the package": (
            sn.Stack(blocks(), sn.ManifoldHyperConnections(STREAMS, **hyper)),
            Package(PackageMHC), TOKENS, 2,
        ),
    }  # fmt: skip


def main(rounds: int) -> None:
    result: dict[str, object] = {
        "what": f"forward + backward, ours / rival, {rounds} rounds; tokens {TOKENS}, {DEPTH} "
        f"blocks of LayerNorm, Linear and GELU, {STREAMS} streams",
        **machine(),
    }
    for threads in (1, 2):
        torch.set_num_threads(threads)
        ratios = {}
        for name, (ours, rival, shape, times) in pairs().items():
            runs = {"ours": step(ours, shape, times), "rival": step(rival, shape, times)}
            # Short runs are many, so that a disturbance falls on both sides alike.
            more = 100 // times if times < 10 and shape != TOKENS else 1
            ratios[name] = ratio(alternate(runs, rounds * more), "ours", "rival")
            print(f"{threads} thread(s)  {ratios[name]:6.3f}  {name}", flush=True)
        result[f"{threads} thread{'s' if threads > 1 else ''}"] = ratios
    write(__file__, result)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 30)
