"""`Rule`: how states travel through a stack of blocks."""

from __future__ import annotations

import abc
from typing import Any

from torch import Tensor, nn

from .._errors import SkipError


class Rule(nn.Module, abc.ABC):
    """How states travel through a `Stack` of branches `f_0 ... f_{L-1}`.

    `begin` makes a state of the input, `read` says what branch `layer` sees and what waits for its
    output, `write` joins the two, `end` makes the output of the last state. A state is whatever
    the rule likes: a tensor, a list of all earlier ones, several streams.

    Subclass it for a rule of your own: the four methods, and `prepare` where it has parameters or
    scales weights.

    Attributes:
        preserves_function: at the start the stack computes what the plain residual network of the
            same branches does: `x + f(x)`, one after the other.
        depth: how many blocks it serves; 0 until a stack has taken it over.

    Example:
        >>> class Halved(Rule):
        ...     def begin(self, x): return x
        ...     def read(self, state, layer): return state, state
        ...     def write(self, waiting, layer, y): return waiting + y / 2
        ...     def end(self, state): return state
        >>> import torch, skipway
        >>> skipway.nn.Stack([nn.Identity(), nn.Identity()], rule=Halved())(torch.ones(1))
        tensor([2.2500])
    """

    preserves_function: bool = False
    depth: int = 0

    def prepare(self, blocks: nn.ModuleList) -> None:
        """Make the parameters for these blocks; the stack calls it once, when it is built."""
        # Most rules have none.
        return

    @abc.abstractmethod
    def begin(self, x: Tensor) -> Any:
        """Return the first state."""

    @abc.abstractmethod
    def read(self, state: Any, layer: int) -> tuple[Tensor, Any]:
        """Return what branch `layer` sees, and what waits for its output."""

    @abc.abstractmethod
    def write(self, waiting: Any, layer: int, y: Tensor) -> Any:
        """Return the state after branch `layer` has given `y`."""

    @abc.abstractmethod
    def end(self, state: Any) -> Tensor:
        """Return the output."""


def check_unserved(rule: Rule, page: str) -> None:
    """Raise where a rule has its blocks already; `page` of the docs has more.

    Raises:
        SkipError: it has.
    """
    if rule.depth:
        raise SkipError(
            f"This {type(rule).__name__} already serves a stack of {rule.depth} blocks. Its "
            "parameters belong to those; make a new one for each stack.",
            page=page,
        )


def same_shape(x: Tensor, layer: int, y: Tensor) -> Tensor:
    """Return `y`, the output of block `layer`, if it has the shape of `x`.

    Raises:
        SkipError: it has another; broadcasting would be silently wrong.
    """
    if x.shape != y.shape:
        raise SkipError(
            f"Block {layer} returns the shape {tuple(y.shape)}, and the stream it joins has "
            f"{tuple(x.shape)}. Blocks of a stack keep the shape; change it between two stacks.",
            page="building-blocks#stack-one-rule-for-many",
        )
    return y
