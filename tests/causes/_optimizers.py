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
