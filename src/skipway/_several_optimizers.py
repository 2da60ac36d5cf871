"""Several optimizers of one training, of which each steps its own parameters, as one."""

from __future__ import annotations

import functools
import inspect
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from torch.optim import Optimizer

# Optimizers of matrices only, and of sparse gradients only.
_CHOOSY = ("Muon", "SparseAdam")


class SeveralOptimizers(Optimizer):
    """Steps several optimizers in turn, after one backward.

    Its groups are the very ones of these, so that a rate that is set here is set there.

    Attributes:
        each: the optimizers.

    Raises:
        ValueError: two of them hold the same parameter.

    Example:
        >>> import torch
        >>> first, second = torch.nn.Linear(2, 2), torch.nn.Linear(2, 1)
        >>> both = SeveralOptimizers([torch.optim.SGD(first.parameters(), 0.1),
        ...               torch.optim.Adam(second.parameters(), 0.01)])
        >>> [group["lr"] for group in both.param_groups]
        [0.1, 0.01]
    """

    def __init__(self, each: Sequence[Optimizer]) -> None:
        super().__init__([group for one in each for group in one.param_groups], {})
        self.each = tuple(each)

    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Step each of them, with the closure where one does not step without."""
        for one in self.each:
            if asks_closure(one):
                one.step(closure)
            else:
                one.step()


def asks_closure(optimizer: Optimizer) -> bool:
    """Tell whether an optimizer, or one of several, is only stepped with a closure, as LBFGS is."""
    return any(_asks(type(one).step) for one in parts(optimizer))


@functools.cache
def _asks(step: Callable[..., Any]) -> bool:
    closure = inspect.signature(step).parameters.get("closure")
    return closure is not None and closure.default is closure.empty


def joined(made: Any) -> Any:
    """Return a list of optimizers as one, and everything else as it is."""
    several = isinstance(made, (list, tuple)) and bool(made)
    if several and all(isinstance(one, Optimizer) for one in made):
        return made[0] if len(made) == 1 else SeveralOptimizers(made)
    return made


def parts(optimizer: Optimizer) -> tuple[Optimizer, ...]:
    """Return the optimizers that one is made of."""
    return optimizer.each if isinstance(optimizer, SeveralOptimizers) else (optimizer,)


def class_names(optimizer: Optimizer) -> str:
    """Return the names of the classes."""
    return ", ".join(dict.fromkeys(type(one).__name__ for one in parts(optimizer)))


def labels(each: Sequence[Optimizer]) -> tuple[str, ...]:
    """Return a name for each; two of one class are told apart by their place."""
    names = [type(one).__name__ for one in each]
    often = Counter(names)
    return tuple(
        own if often[own] == 1 else f"{own} {names[: at + 1].count(own)}"
        for at, own in enumerate(names)
    )


def general(each: Sequence[Optimizer]) -> Optimizer:
    """Return one that takes parameters of every kind, where there is one."""
    return next((one for one in each if type(one).__name__ not in _CHOOSY), each[0])
