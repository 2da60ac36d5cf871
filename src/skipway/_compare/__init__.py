"""The judge: cells, training loop, controls, statistics, and the words for what they say."""

from __future__ import annotations

from ._cells import forget
from ._comparing import check_seeds, compare
from ._statistics import answer, paired
from ._train import train

__all__ = ["answer", "check_seeds", "compare", "forget", "paired", "train"]
