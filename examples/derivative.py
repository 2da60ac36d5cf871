"""Why a skip connection works: the 1 in dL/dx = dL/dy (1 + f'(x)).

    python examples/derivative.py [DEPTH]

A body whose derivative is zero everywhere lets no gradient through. Alone, a stack of them cuts the
input off; around each one a skip connection, and the gradient of the output arrives at the input
unchanged, to the last bit, through any depth.
"""

from __future__ import annotations

import sys

import torch
from torch import Tensor, nn

from skipway.nn import Skip


class Steps(nn.Module):
    """A staircase: it moves, and its derivative is zero."""

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` rounded to tenths, made small."""
        return torch.round(10 * x) / 1000


def main(depth: int) -> None:
    """Print the gradient that arrives through `depth` layers, without and with skips."""
    torch.manual_seed(0)
    at_output = torch.randn(5)
    print(f"gradient at the output           {_numbers(at_output)}")
    for name, layer in (("plain layers", Steps), ("layers with a skip", lambda: Skip(Steps()))):
        x = torch.randn(5, requires_grad=True)
        nn.Sequential(*(layer() for _ in range(depth)))(x).backward(at_output)
        assert x.grad is not None
        print(f"through {depth:,} {name:<18} {_numbers(x.grad)}")


def _numbers(x: Tensor) -> str:
    return "  ".join(f"{value:9.6f}" for value in x.tolist())


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
