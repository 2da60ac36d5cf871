"""Remedies that several verbs know: other than skips, and where along a chain skips are worth it.

Of those other than skips each is a function: a case goes in, a treated case comes out. It is data
around the case's own model factory, so processes can share it, and none changes the case it was
given.
"""

from __future__ import annotations

from ._activation import activation_kind
from ._better_start import GAINS, better_start
from ._in_float32 import in_float32
from ._learning_rate import with_learning_rate, with_learning_rates
from ._losing import WORTH_IT, decades_lost, losing_part
from ._unfrozen import unfrozen

__all__ = [
    "GAINS",
    "WORTH_IT",
    "activation_kind",
    "better_start",
    "decades_lost",
    "in_float32",
    "losing_part",
    "unfrozen",
    "with_learning_rate",
    "with_learning_rates",
]
