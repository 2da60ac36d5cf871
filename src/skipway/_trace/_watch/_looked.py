"""What a look at one step of one optimizer saw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ._outputs import Passed


@dataclass(frozen=True)
class Step:
    """What one step of one optimizer did.

    Attributes:
        number: of the step, from 1; of several optimizers, that of the one that is furthest.
        optimizer: which of them took it, from 0.
        sums: `QUANTITIES` by parameter of the model; 0 where it was not looked at, `ABSENT` for
            the gradient where there is none.
        looked: by parameter, whether it was looked at.
        loss: that its gradients are of; `None` where it is not known.
        losses: the same by parameter; NaN where it is not known or was not looked at.
        rate: the learning rate, the largest of its groups.
        counted: by parameter, whether its weights were counted.
        deep: whether any were, or outputs looked at.
        well: whether every sum of squares is plainly finite and larger than zero.
        passed: by layer, what passed; `None` where outputs were not looked at.
    """

    number: int
    optimizer: int
    sums: NDArray[np.float64]
    looked: NDArray[np.bool_]
    loss: float | None
    losses: NDArray[np.float64]
    rate: float
    counted: NDArray[np.bool_]
    deep: bool
    well: bool
    passed: dict[str, Passed] | None
