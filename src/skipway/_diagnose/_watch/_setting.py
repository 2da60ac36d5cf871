"""`Setting`: what is known of a watched training besides its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Setting:
    """What a diagnosis needs to know besides the numbers.

    Attributes:
        types: of the layers, for readers.
        sizes: how many numbers the weight of each layer holds.
        learns: whether an optimizer holds it and it requires a gradient.
        order: the layers in execution order, as far as they were seen to run.
        optimizer: class name.
        every: how many steps from one look to the next.
        steps: how many were taken.
        stays: whether the loss is where it began, after looks enough to tell.
        notes: what could not be known, and why.
    """

    types: Sequence[str]
    sizes: Sequence[int]
    learns: Sequence[bool]
    order: Sequence[str]
    optimizer: str
    every: int
    steps: int
    stays: bool
    notes: Sequence[str]
