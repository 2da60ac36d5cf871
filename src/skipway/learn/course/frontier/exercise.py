"""11. The frontier.

x + F(x) has been with us since 2015. Two questions came later: how much of F at the start, and
why only one path?

ReZero
    A gate a, one number that is trained and starts at 0 (Bachlechner et al. 2020,
    arXiv:2003.04887):

        y = x + a F(x)

    So the network starts as the identity, through any number of layers, and lets each branch in as
    far as it helps. Write __init__ and forward; a must be something that the optimizer sees.

hyper_connection(streams, body, pre, post, res)
    Two streams X_0 and X_1 run through the network side by side. The branch reads a mixture of
    them, and writes to both; and they are mixed with each other (Zhu et al. 2024,
    arXiv:2409.19606):

        read     h    = pre_0 X_0 + pre_1 X_1
        write    X'_i = res_i0 X_0 + res_i1 X_1 + post_i F(h)          for i = 0 and 1

    `streams` has the shape (2, batch, width), pre and post are vectors of two numbers, res is a
    matrix of 2 x 2. Return the new streams.

hyper_network(x, bodies, ways)
    Start with x in both streams. Take one step for each body, with its (pre, post, res) from
    `ways`. Return the mean of the two streams at the end, not their sum.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

Way = tuple[Tensor, Tensor, Tensor]


class ReZero(nn.Module):
    """A residual block with a gate that starts at zero."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Return x + a F(x)."""
        raise NotImplementedError


def hyper_connection(
    streams: Tensor, body: Callable[[Tensor], Tensor], pre: Tensor, post: Tensor, res: Tensor
) -> Tensor:
    """Return both streams after one block, `(2, batch, width)`."""
    raise NotImplementedError


def hyper_network(x: Tensor, bodies: list[Callable[[Tensor], Tensor]], ways: list[Way]) -> Tensor:
    """Return what comes out of all blocks, `(batch, width)`."""
    raise NotImplementedError
