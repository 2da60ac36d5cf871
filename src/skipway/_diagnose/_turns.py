"""On what steps on a copy are taken: one batch again and again, or parts of it in turn.

Steps on one batch always follow the same gradient, and a network can learn that batch by heart at a
rate at which it unlearns every batch from the next one. A training has other samples at each step;
the halves of a batch, in turn, are the least that shows it.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ._batches import parts_of
from ._closure import Evaluate
from ._facts import Facts

if TYPE_CHECKING:
    from ._task import Task

_FEWEST = 16  # samples of a half, for a normalisation over the batch to mean something
# A loss that is a mean over samples is about the same on a half. A sum is not, and neither is one
# that sets samples against each other.
_ALIKE = 0.1


def turns_of(task: Task, facts: Facts, pieces: int = 2) -> list[Evaluate]:
    """Return the losses to follow in turn; one only where the batch cannot be cut."""
    parts = [part for part, _ in task.parts]
    if len(parts) == 1:
        pieces = min(pieces, task.size // _FEWEST)
        if pieces < 2:
            return [task.evaluate]
        cut = parts_of(task.batch, pieces, task.size, pair=task.objective is None)
        parts = [part for part, _ in cut]
    turns: list[Evaluate] = [partial(_loss_on, task, part) for part in parts]
    return turns if _alike(task.model, turns, facts.loss) else [task.evaluate]


def _loss_on(task: Task, part: Any, model: nn.Module) -> Tensor:
    return task.loss_on(model, part)


def _alike(model: nn.Module, turns: Sequence[Evaluate], whole: float) -> bool:
    clone = copy.deepcopy(model)
    try:
        with torch.no_grad():
            mean = sum(float(turn(clone)) for turn in turns) / len(turns)
    except Exception:
        return False  # a model that takes batches of one size
    return math.isclose(mean, whole, rel_tol=_ALIKE)
