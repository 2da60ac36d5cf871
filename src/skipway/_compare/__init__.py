"""The judge: cells, training loop, controls, statistics, and the words for what they say."""

from __future__ import annotations

from ._cells import forget
from ._cluster import Slurm
from ._comparing import compare, foresee
from ._lock import locked
from ._statistics import answer, paired
from ._train import train
from ._trial import check_seeds

__all__ = [
    "Slurm",
    "answer",
    "check_seeds",
    "compare",
    "foresee",
    "forget",
    "locked",
    "paired",
    "train",
]
