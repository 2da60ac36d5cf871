"""The judge: cells, training loop, controls, statistics, and the words for what they say."""

from __future__ import annotations

from ._cells import forget
from ._comparing import compare
from ._statistics import answer, paired
from ._train import train

__all__ = ["answer", "compare", "forget", "paired", "train"]
