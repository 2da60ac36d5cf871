"""Remedies other than a skip connection: a case goes in, a treated case comes out.

Each is data around the case's own model factory, so processes can share it, and none changes the
case it was given.
"""

from __future__ import annotations

from ._activation import activation_kind
from ._better_start import GAINS, better_start
from ._in_float32 import in_float32
from ._learning_rate import with_learning_rate
from ._unfrozen import unfrozen

__all__ = [
    "GAINS",
    "activation_kind",
    "better_start",
    "in_float32",
    "unfrozen",
    "with_learning_rate",
]
