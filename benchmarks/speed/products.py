"""Products of a dense block from the matrix library and from the convolution library.

    python benchmarks/speed/products.py [ROUNDS]

Shapes are those of DenseNet-121 at 8x3x128x128 and of DenseNet-BC-100 at 64x3x32x32: positions,
channels read, channels of the bottleneck. Billions of float operations a second (a multiplication
and an addition are two), medians over the rounds, forwards and for both gradients. On which
processor, says the result.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from measure import machine, write

from skipway.models._dense._products import product, product_backward

SHAPES = [(8192, 64, 128), (8192, 224, 128), (2048, 480, 128), (512, 992, 128), (128, 992, 128)]
SHAPES += [(16384, 168, 48), (4096, 300, 48)]


def speed(run: Callable[[], object], operations: float, rounds: int) -> int:
    """Return the median of 10⁹ operations a second."""
    run()
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(4):
            run()
        seconds.append((time.perf_counter() - start) / 4)
    return round(operations / statistics.median(seconds) / 1e9)


def measure(threads: int, rounds: int) -> dict[str, Any]:
    torch.set_num_threads(threads)
    return {f"{a} x {b} x {c}": compare(a, b, c, rounds) for a, b, c in SHAPES}


def compare(rows: int, columns: int, out: int, rounds: int) -> dict[str, int]:
    x, g = torch.randn(rows, columns), torch.randn(rows, out)
    weight, work = torch.randn(out, columns), 2.0 * rows * columns * out

    def backward() -> None:
        product_backward(g, x, weight, needs_weight=True)

    return {
        "forwards, matrix library": speed(lambda: x @ weight.t(), work, rounds),
        "forwards, ours": speed(lambda: product(x, weight), work, rounds),
        "backwards, matrix library": speed(lambda: (g @ weight, g.t() @ x), 2 * work, rounds),
        "backwards, ours": speed(backward, 2 * work, rounds),
    }


if __name__ == "__main__":
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 25
    capability = torch.backends.cpu.get_cpu_capability()
    result: dict[str, Any] = {
        **machine(),
        "vectors": capability,
        "unit": "10^9 operations a second",
    }
    for threads in (1, 2):
        result[f"{threads} threads"] = measure(threads, rounds)
    write(__file__, result)
