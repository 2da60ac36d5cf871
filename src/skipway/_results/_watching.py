"""What a watched training showed, layer by layer over its steps."""

from __future__ import annotations

from dataclasses import dataclass

from ._result import Result


@dataclass(frozen=True)
class Event(Result):
    """Something that began, and perhaps ended, while training.

    Attributes:
        step: at which it was first seen.
        until: the step at which it was no longer so; `None` while it lasts.
        cause: one of `CAUSES`.
        layers: names of the layers concerned; none where it is the whole network.
        words: `"layers.12 stopped moving"`.
    """

    kind_of_result = "event"
    step: int
    cause: str
    words: str
    layers: tuple[str, ...] = ()
    until: int | None = None


@dataclass(frozen=True)
class Watching(Result):
    """A watched training over its steps.

    Tables have one row for each layer and one column for each of `steps`. `None` means that the
    number was not looked at then, or has no meaning.

    Attributes:
        steps: that were kept, from 1; of long trainings some are left out in between.
        layers: in execution order.
        elasticity: `||dL/dh|| * ||h|| / |L|` of each layer's own output.
        weight_elasticity: `||dL/dW|| * ||W|| / |L|`; over the largest of the same step where the
            loss is not known or not positive.
        update: `||dW|| / ||W||` of the step really taken.
        lost: share of the weights with a gradient that the step left exactly as they were.
        epsilon: share of the weights with a gradient where Adam's epsilon sets the step.
        loss: at each step.
        progress: the fraction of the loss that each step removes, to first order.
        rate: the learning rate at each step.
        events: what began, in order.
        every: how many steps from one look to the next.
    """

    kind_of_result = "watching"
    steps: tuple[int, ...]
    layers: tuple[str, ...]
    elasticity: tuple[tuple[float | None, ...], ...]
    weight_elasticity: tuple[tuple[float | None, ...], ...]
    update: tuple[tuple[float | None, ...], ...]
    lost: tuple[tuple[float | None, ...], ...]
    epsilon: tuple[tuple[float | None, ...], ...]
    loss: tuple[float | None, ...]
    progress: tuple[float | None, ...]
    rate: tuple[float, ...]
    events: tuple[Event, ...]
    every: int
