"""The optimizers of the patients."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


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
        plan: `warm-up` rises to it in `length` steps, `cosine` falls to nothing, `tenth` is
            divided by ten at each step.
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
        if self.plan == "tenth":
            return float(0.1**taken)
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


class Hoarding(torch.optim.SGD):
    """SGD whose gradients nobody sets to zero, so that each step takes all of them again."""

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Do nothing, as in a loop that lacks the call."""


@dataclass(frozen=True)
class Hoarder:
    """Builds `Hoarding`."""

    rate: float = 0.1

    def __call__(self, parameters: Any) -> torch.optim.Optimizer:
        """Return it."""
        return Hoarding(list(parameters), self.rate)


class Orthogonal(torch.optim.Optimizer):
    """The momentum of each matrix with all its singular values at one (Jordan et al. 2024).

    What is no matrix takes the sign of its momentum.
    """

    def __init__(self, parameters: Any, rate: float, momentum: float = 0.9) -> None:
        super().__init__(parameters, {"lr": rate, "momentum": momentum, "by_sign": True})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Step."""
        for group in self.param_groups:
            for each in group["params"]:
                if each.grad is None:
                    continue
                kept = self.state[each].setdefault("kept", torch.zeros_like(each))
                kept.mul_(group["momentum"]).add_(each.grad)
                each.sub_(group["lr"] * (_polar(kept) if each.dim() == 2 else kept.sign()))
        return None


def _polar(matrix: Tensor) -> Tensor:
    # Newton and Schulz's iteration for the orthogonal factor; it needs a norm below the root of 3.
    x = matrix / matrix.norm().clamp_min(torch.finfo(matrix.dtype).tiny)
    for _ in range(12):
        x = 1.5 * x - 0.5 * x @ x.T @ x
    return x


@dataclass(frozen=True)
class Orthogonaliser:
    """Builds `Orthogonal`."""

    rate: float = 0.02

    def __call__(self, parameters: Any) -> torch.optim.Optimizer:
        """Return it."""
        return Orthogonal(list(parameters), self.rate)
