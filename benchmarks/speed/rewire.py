"""How long `rewire` takes: `python benchmarks/speed/rewire.py [--calls 10000]`.

A network of 152 layers (the plain twin of ResNet-152) traced, planned and rewired, beside
`torch.fx.symbolic_trace` of it and `copy.deepcopy`, in turn; and plain networks of up to 10,000
calls (a linear layer and an activation are two), for the time a call. One thread; seconds of this
process alone (`process_time`), so that others on the machine count less.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

import skipway

sys.path.insert(0, str(Path(__file__).parent.parent))
from measure import machine, write


class Plain(nn.Module):
    def __init__(self, layers: int) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(8, 8), nn.Linear(8, 3)
        self.hidden = nn.ModuleList(nn.Linear(8, 8) for _ in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for layer in self.hidden:
            x = layer(torch.tanh(x))
        return self.head(torch.tanh(x))


def seconds(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def layers_152(rounds: int) -> dict[str, object]:
    net, x = skipway.models.resnet152(plain=True, num_classes=10), torch.randn(2, 3, 64, 64)
    runs: dict[str, Callable[[], object]] = {
        "rewire": lambda: skipway.rewire(net, x),
        "rewire, dense": lambda: skipway.rewire(net, x, how="dense"),
        "fx.symbolic_trace": lambda: torch.fx.symbolic_trace(net),
        "deepcopy": lambda: copy.deepcopy(net),
        "forward": lambda: net(x),
    }
    found: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds + 1):  # the first imports
        for name, run in runs.items():
            found[name].append(seconds(run))
    return {
        name: {"s, median": round(statistics.median(s[1:]), 3), "s, least": round(min(s[1:]), 3)}
        for name, s in found.items()
    }


def by_calls(most: int) -> list[dict[str, float]]:
    rows = []
    for calls in (most // 16, most // 8, most // 4, most // 2, most):
        net, x = Plain(calls // 2), torch.randn(2, 8)
        took = seconds(lambda net=net, x=x: skipway.rewire(net, x))
        rows.append(
            {"calls": calls, "s": round(took, 2), "ms a call": round(1e3 * took / calls, 2)}
        )
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=10_000)
    given = parser.parse_args()
    torch.set_num_threads(1)
    here = machine()
    result = {"machine": here, "152 layers": layers_152(given.rounds)}
    write(__file__, {**result, "by calls": by_calls(given.calls)})


if __name__ == "__main__":
    main()
