"""`Together`: the optimizers of one training, stepped as one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from .._several_optimizers import general, labels
from ._closure import Closure


class Together:
    """One optimizer or several, of which each steps its own parameters after the same backward.

    What is asked of the groups and of the state of one optimizer can be asked of them together: a
    group is a group, whichever optimizer it belongs to.

    Attributes:
        each: the optimizers, in the order in which they step.
        asking: places of those whose step has to be given a closure.
    """

    def __init__(self, each: Sequence[Optimizer], asking: Collection[int] = ()) -> None:
        self.each = tuple(each)
        self.asking = frozenset(asking)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of all of them; the very ones, so that what is set here is set there."""
        return [group for each in self.each for group in each.param_groups]

    @property
    def state(self) -> dict[Tensor, Any]:
        """What they keep for each parameter."""
        return {tensor: kept for each in self.each for tensor, kept in each.state.items()}

    @property
    def name(self) -> str:
        """The classes' names."""
        return ", ".join(dict.fromkeys(type(each).__name__ for each in self.each))

    @property
    def labels(self) -> tuple[str, ...]:
        """A name for each; two of one class are told apart by their place."""
        return labels(self.each)

    @property
    def part(self) -> dict[int, int]:
        """Which of them steps a parameter, by its id."""
        return {
            id(p): at
            for at, each in enumerate(self.each)
            for group in each.param_groups
            for p in group["params"]
        }

    @property
    def general(self) -> Optimizer:
        """One that takes parameters of every kind, where there is one."""
        return general(self.each)

    def groups(self, part: int | None) -> list[dict[str, Any]]:
        """Return the groups of one of them, by its place, or of all."""
        return self.param_groups if part is None else self.each[part].param_groups

    def step(self, closure: Closure | None) -> None:
        """Step them in turn, with the closure where one asks for it."""
        for at, each in enumerate(self.each):
            if at in self.asking:
                each.step(closure)  # type: ignore[arg-type]  # a loss is a tensor to torch, too
            else:
                each.step()
