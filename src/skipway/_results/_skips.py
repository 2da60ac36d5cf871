"""What `skips` returns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

from ._layer import SkipConnection
from ._result import Drawn


@dataclass(frozen=True)
class Skips(Drawn, Sequence[SkipConnection]):
    """The skip connections of a model, in execution order: a sequence that prints as a table.

    Attributes:
        model_name: class of the model.
        layers: how many weight layers it has.
        skips: each of them.

    Example:
        >>> found = Skips("Net", 3, (SkipConnection("identity", "a", "c", ("b", "c"), (2, 8)),))
        >>> len(found), found[0].kind, found.counts
        (1, 'identity', {'identity': 1})
    """

    kind_of_result = "skips"
    model_name: str
    layers: int
    skips: tuple[SkipConnection, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many there are of each kind."""
        return dict(Counter(skip.kind for skip in self.skips))

    @overload
    def __getitem__(self, index: int) -> SkipConnection: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[SkipConnection, ...]: ...
    def __getitem__(self, index: int | slice) -> SkipConnection | tuple[SkipConnection, ...]:
        """Return one, or a slice."""
        return self.skips[index]

    def __iter__(self) -> Iterator[SkipConnection]:
        """Go through them in execution order."""
        return iter(self.skips)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.skips)
