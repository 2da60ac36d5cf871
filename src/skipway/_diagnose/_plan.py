"""`Plan`: what a schedule of the learning rate is about, as far as the optimizer shows it."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from . import _thresholds as limit
from ._together import Together


@dataclass(frozen=True)
class Plan:
    """A schedule that sets the rate.

    Attributes:
        whole: the rate that it takes parts of.
        rate: that of the next step.
        taken: how many steps lie behind; `None` where the optimizer does not count them.
    """

    whole: float
    rate: float
    taken: int | None

    def explains(self, skill: float | None) -> bool:
        """Tell whether so small a rate is what the schedule means at this point.

        A warm-up begins with next to nothing, and every schedule may end with it once the work is
        done. One that ends before is the fault itself, and so is a warm-up that never arrives.
        """
        if self.rate >= self.whole:
            return False
        if self.taken == 0 or (skill is not None and skill < limit.LEARNED):
            return True
        if self.rate == 0:
            return False
        return self.taken is None or self.whole / self.rate * self.taken <= limit.LONGEST_WARM_UP


def plan_of(optimizer: Together | None) -> Plan | None:
    """Return the plan, where the groups say that there is one, as PyTorch's schedulers do."""
    groups = [] if optimizer is None else optimizer.param_groups
    whole = max((float(group.get("initial_lr", 0.0)) for group in groups), default=0.0)
    if optimizer is None or whole <= 0:
        return None
    rate = max(float(group.get("lr", 0.0)) for group in groups)
    return Plan(whole, rate, _taken(optimizer))


def _taken(optimizer: Together) -> int | None:
    counts = [each["step"] for each in optimizer.state.values() if "step" in each]
    if counts:
        return int(max(float(torch.as_tensor(each)) for each in counts))
    begun = optimizer.state or any(getattr(each, "_opt_called", False) for each in optimizer.each)
    return None if begun else 0
