"""What each of two processes does in the test of `watch` under torchrun.

Arguments: how the model is spread, and the folder for what was seen.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn import functional as F

import skipway
from watched import batch

STEPS = 6


def network() -> nn.Sequential:
    """A net with a large weight, odd sizes, and layers that vanish."""
    torch.manual_seed(0)
    inner = [m for _ in range(10) for m in (nn.Linear(7, 7), nn.Sigmoid())]
    return nn.Sequential(
        nn.Linear(4, 263), nn.Tanh(), nn.Linear(263, 263), nn.Tanh(), nn.Linear(263, 7), *inner,
        nn.Linear(7, 3),
    )  # fmt: skip


def train(model: nn.Module, data: tuple[Tensor, Tensor]) -> dict[str, Any]:
    """Train a few steps and return what was seen."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    found: list[dict[str, float]] = []
    before = _hooks(model)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with skipway.watch(model, optimizer, every=1, outputs=2) as seen:
            for _ in range(STEPS):
                optimizer.zero_grad()
                for x, y in zip(data[0].chunk(2), data[1].chunk(2), strict=True):
                    (seen.loss(F.cross_entropy(model(x), y)) / 2).backward()
                optimizer.step()
                found.append(seen.scalars())
    lines = [str(w.message) for w in said if w.category is skipway.SkipwayWarning]
    return {
        "scalars": found,
        "said": lines,
        "cause": seen.diagnosis().cause,
        "hooks": _hooks(model) - before,
    }


def _hooks(model: nn.Module) -> int:
    return sum(len(module._forward_hooks) for module in model.modules())


def spread(model: nn.Module, how: str) -> nn.Module:
    """Spread the model over the processes."""
    if how == "ddp":
        return nn.parallel.DistributedDataParallel(model)
    mesh = init_device_mesh("cpu", (2,))
    for layer in model:
        if isinstance(layer, nn.Linear):
            fully_shard(layer, mesh=mesh)
    return fully_shard(model, mesh=mesh)


def main(how: str, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    try:
        rank = dist.get_rank()
        x, y = batch(32)
        own = x.chunk(2)[rank], y.chunk(2)[rank]
        torch.save(train(spread(network(), how), own), Path(folder) / f"{rank}.pt")
        dist.barrier()  # gloo aborts where one side leaves while the other still talks
    finally:
        dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
