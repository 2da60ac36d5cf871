"""What `Diagnosis.what_if` returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

from .._errors import SkipwayError
from ._layer import LayerReading, SkipConnection
from ._result import Drawn


class HasEnds(Protocol):
    """A skip of a plan or of a network."""

    @property
    def source(self) -> str:
        """The layer it starts at."""

    @property
    def destination(self) -> str:
        """The layer it joins."""


Ends: TypeAlias = "tuple[str, str] | HasEnds"


@dataclass(frozen=True)
class WhatIf(Drawn):
    """How much gradient would arrive with a skip more, or with one less; nothing is trained.

    Attributes:
        question: what was asked, in words.
        answer: what would happen, in words.
        place: the layer that the answer is about.
        before: every layer's numbers as the network is.
        after: the same with the skip added or cut. There is no step in them.
        lost_before: the most decades that any layer loses.
        lost_after: the same with the skip added or cut.
        skips: that the network has.
        skips_after: that it would have.
        when: at which point of training.
        batch: how many samples.
        relative: see `Diagnosis`.
    """

    kind_of_result = "what-if"
    question: str
    answer: str
    place: str
    before: tuple[LayerReading, ...]
    after: tuple[LayerReading, ...]
    lost_before: float
    lost_after: float
    skips: tuple[SkipConnection, ...]
    skips_after: tuple[SkipConnection, ...]
    when: str
    batch: int
    relative: bool = False

    def layer(self, name: str) -> LayerReading:
        """Return the reading that one layer would have.

        Raises:
            SkipwayError: the network has no such layer.
        """
        for layer in self.after:
            if layer.name == name:
                return layer
        names = ", ".join(each.name for each in self.after[:8])
        raise SkipwayError(f"No layer is called {name!r}; the first ones are {names}.")
