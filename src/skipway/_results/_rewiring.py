"""What `rewire` returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from torch import nn

from ._result import Result


@dataclass(frozen=True)
class PlannedSkip(Result):
    """One skip to be added: the output of `source` joins the output of `destination`.

    Attributes:
        source: the layer whose output is tapped, `module.path` or `module.path#call`.
        destination: the layer whose output it joins.
        merge: `"add"` or `"cat"`.
        shortcut: what lies on the skip: `"identity"`, `"pad"`, `"pool"`, `"linear"`, `"1x1"` or
            `"pool + 1x1"`.
        branch_scale: factor on the branch, 1 for a plain sum.
        fuse: for `cat`: `"linear"` or `"1x1"`, the layer that brings the width back.
        source_shape: shape of the tapped tensor, batch first.
        destination_shape: shape of the tensor it joins.
    """

    kind_of_result = "planned-skip"
    source: str
    destination: str
    merge: Literal["add", "cat"] = "add"
    shortcut: str = "identity"
    branch_scale: float = 1.0
    fuse: str | None = None
    source_shape: tuple[int, ...] = ()
    destination_shape: tuple[int, ...] = ()


@dataclass(frozen=True)
class Plan(Result):
    """Which skips to add, and where: data that can be read, saved, edited and applied.

    Attributes:
        how: `"add"` or `"cat"`.
        skips: in execution order.
        reason: why these places.
    """

    kind_of_result = "plan"
    how: Literal["add", "cat"]
    skips: tuple[PlannedSkip, ...]
    reason: str = ""


@dataclass(frozen=True)
class Rewiring(Result):
    """A network with new skips.

    Attributes:
        plan: the skips that were added.
        model: the rewired network; `None` when read back from data.
        code: the source that `source()` returns.
        added: line numbers of `code` (from 1) that the plain network does not have.
        model_name: class of the network.
        parameters: how many parameters it has.
        parameters_added: how many of them are new.
        layers: the names of the weight layers in execution order.
    """

    kind_of_result = "rewiring"
    plan: Plan
    code: str
    added: tuple[int, ...]
    model_name: str
    parameters: int
    parameters_added: int
    layers: tuple[str, ...]
    model: nn.Module | None = field(
        default=None, repr=False, compare=False, metadata={"plain": False}
    )

    def source(self) -> str:
        """Return the rewired classes as Python to read and paste."""
        return self.code
