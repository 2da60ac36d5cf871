"""The optimizers of the patients."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


class Clipped(torch.optim.SGD):
    """SGD that clips the norm of all gradients to `clip` in each step."""

    def __init__(self, parameters: Any, rate: float, clip: float) -> None:
        super().__init__(parameters, rate)
        for group in self.param_groups:
            group["clip"] = clip

    def step(self, closure: Any = None) -> Any:
        """Clip, then step."""
        for group in self.param_groups:
            nn.utils.clip_grad_norm_(group["params"], group["clip"])
        return super().step(closure)


@dataclass(frozen=True)
class Stepper:
    """Builds an optimizer; `hold_from` leaves the first parameters out."""

    kind: str = "sgd"
    rate: float = 0.1
    decay: float = 0.0
    epsilon: float = 1e-8
    clip: float = math.inf
    hold_from: int = 0

    def __call__(self, parameters: Any) -> torch.optim.Optimizer:
        """Return it."""
        held, optim = list(parameters)[self.hold_from :], torch.optim
        common = {"lr": self.rate, "weight_decay": self.decay}
        if self.kind == "sgd":
            if math.isfinite(self.clip):
                return Clipped(held, self.rate, self.clip)
            return optim.SGD(held, **common)
        if self.kind == "momentum":
            return optim.SGD(held, **common, momentum=0.9)
        kinds = {"adam": optim.Adam, "adamw": optim.AdamW, "rmsprop": optim.RMSprop}
        return kinds[self.kind](held, **common, eps=self.epsilon)


class ClippedAdam(torch.optim.Adam):
    """Adam that clips the norm of all gradients to `clip` in each step."""

    def __init__(self, parameters: Any, clip: float, **settings: Any) -> None:
        super().__init__(parameters, **settings)
        for group in self.param_groups:
            group["clip"] = clip

    def step(self, closure: Any = None) -> Any:
        """Clip, then step."""
        for group in self.param_groups:
            nn.utils.clip_grad_norm_(group["params"], group["clip"])
        return super().step(closure)


class Planned(torch.optim.Adam):
    """Adam whose rate follows a plan; `initial_lr` is where PyTorch's schedulers keep the whole.

    Args:
        parameters: to learn.
        rate: what the plan takes shares of.
        plan: `warm-up` rises to it in `length` steps, `cosine` falls to nothing.
        length: of the plan, in steps.
    """

    def __init__(self, parameters: Any, rate: float, plan: str, length: int) -> None:
        super().__init__(parameters, rate)
        self.plan, self.length = plan, length
        for group in self.param_groups:
            group["initial_lr"], group["taken"] = rate, 0
            group["lr"] = rate * self.share(0)

    def share(self, taken: int) -> float:
        """Return the part of the rate after so many steps."""
        part = min(1.0, taken / self.length)
        if self.plan == "warm-up":
            return min(1.0, (taken + 1) / self.length)
        return (1 + math.cos(math.pi * part)) / 2

    def step(self, closure: Any = None) -> Any:
        """Step, then follow the plan."""
        found = super().step(closure)
        for group in self.param_groups:
            group["taken"] += 1
            group["lr"] = group["initial_lr"] * self.share(group["taken"])
        return found


@dataclass(frozen=True)
class Tuned:
    """Builds an optimizer whose further settings someone has tuned."""

    kind: str
    rate: float
    betas: tuple[float, float] = (0.9, 0.999)
    momentum: float = 0.0
    decay: float = 0.0
    clip: float = math.inf
    plan: str = ""
    length: int = 1
    of_a_copy: bool = False

    def __call__(self, parameters: Any) -> torch.optim.Optimizer:
        """Return it."""
        held = list(parameters)
        if self.of_a_copy:  # as when the model is copied, or loaded anew, after this
            held = [nn.Parameter(each.detach().clone()) for each in held]
        if self.plan:
            return Planned(held, self.rate, self.plan, self.length)
        common = {"lr": self.rate, "weight_decay": self.decay}
        if self.kind == "sgd":
            return torch.optim.SGD(held, momentum=self.momentum, **common)
        kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
        if math.isfinite(self.clip):
            return ClippedAdam(held, self.clip, betas=self.betas, **common)
        return kinds[self.kind](held, betas=self.betas, **common)
