"""A third set of patients with networks of their own, written before any of them was diagnosed.

What the diagnosis said of them at first sight was reported once, as it was (docs/causes.md).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from skipway import Case

from . import _data as data
from . import _strange_networks as networks
from ._builder import PAIRS, build, in_units, patient
from ._objectives import Contrast, Evidence, FirstAnswer
from ._optimizers import Stepper


class Lion(torch.optim.Optimizer):
    """Steps of one size by the sign of momentum (Chen et al. 2023), as a user writes it."""

    def __init__(self, parameters: Any, rate: float, decay: float = 0.0) -> None:
        super().__init__(parameters, {"lr": rate, "weight_decay": decay})
        for group in self.param_groups:
            group["decoupled_weight_decay"] = group["by_sign"] = True

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        """Step."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                mean = self.state[p].setdefault("mean", torch.zeros_like(p))
                way = mean.mul(0.9).add(p.grad, alpha=0.1).sign()
                p.mul_(1 - group["lr"] * group["weight_decay"]).add_(way, alpha=-group["lr"])
                mean.mul_(0.99).add_(p.grad, alpha=0.01)


class ValueClipped(torch.optim.SGD):
    """SGD that clips each number of a gradient to `clip`."""

    def __init__(self, parameters: Any, rate: float, clip: float) -> None:
        super().__init__(parameters, rate)
        for group in self.param_groups:
            group["clip"] = clip

    def step(self, closure: Any = None) -> Any:
        """Clip, then step."""
        for group in self.param_groups:
            nn.utils.clip_grad_value_(group["params"], group["clip"])
        return super().step(closure)


@dataclass(frozen=True)
class Odd:
    """Builds an optimizer of a further kind; the first `slow` parameters get `slow_rate`."""

    kind: str
    rate: float
    decay: float = 0.0
    clip: float = 1e9
    slow: int = 0
    slow_rate: float = 0.0
    epsilon: float = 1e-8

    def __call__(self, parameters: Any) -> torch.optim.Optimizer:
        """Return it."""
        every, optim = list(parameters), torch.optim
        groups = [{"params": every[self.slow :]}]
        if self.slow:
            groups.append({"params": every[: self.slow], "lr": self.slow_rate})
        if self.kind == "lion":
            return Lion(groups, self.rate, self.decay)
        if self.kind == "values":
            return ValueClipped(groups, self.rate, self.clip)
        if self.kind == "rprop":
            return optim.Rprop(groups, self.rate)
        kinds = {"adadelta": optim.Adadelta, "asgd": optim.ASGD, "radam": optim.RAdam,
                 "sgd": optim.SGD, "adam": optim.Adam}  # fmt: skip
        extra = {"eps": self.epsilon} if self.kind == "adam" else {}
        return kinds[self.kind](groups, self.rate, weight_decay=self.decay, **extra)


OBJECTIVES = {
    "first": FirstAnswer(),
    "evidence": Evidence(),
    "contrast": Contrast(),
}
OWN_PAIRS = {"end": lambda: data.memory(16, 15), "early": lambda: data.memory(16, 2)}


def stranger(
    network: Callable[..., nn.Module],
    optimizer: Any,
    pairs: str = "digits",
    batch: int = 64,
    labels: str = "true",
    kind: str = "classes",
    objective: str = "",
    targets_by: float = 1.0,
    inputs_by: float = 1.0,
    **settings: Any,
) -> Case:
    """Return a case; `labels` may be the next sample's, inputs and targets in other units."""
    (inputs, targets), test = {**PAIRS, **OWN_PAIRS}[pairs]()
    if labels == "next":
        targets = targets.roll(1, 0)
    if labels == "noise":  # the inputs are what is lost
        inputs = torch.rand(inputs.shape, generator=torch.Generator().manual_seed(22))
    both = in_units(((inputs, targets), test), inputs_by, targets_by)
    chosen = OBJECTIVES.get(objective)
    return build(network, both, optimizer, batch, kind, chosen, **settings)


_patient = functools.partial(patient, stranger, steps=200)
_SGD, _ADAM = Stepper(rate=0.1), Stepper("adam", 3e-3)
N = networks

PATIENTS = [
    # --- what trains ---------------------------------------------------------------------------
    _patient("grid-2", N.Grid, _ADAM, pairs="masks", kind="binary", skips=True, steps=300),
    _patient("siamese", N.Siamese, _ADAM, pairs="pairs", kind="binary", steps=400),
    _patient("siamese-one-side-stopped", N.Siamese, _ADAM, pairs="pairs", kind="binary", stop=True,
             steps=400, goal=0.8),
    _patient("maxout-8", N.Maxout, Stepper(rate=0.03)),
    _patient("experts", N.Experts, _ADAM),
    _patient("layer-scale-at-a-millionth", N.Next, _ADAM, steps=300),
    _patient("group-norm-convolutions", N.Grouped, _ADAM, steps=300),
    _patient("identity-recurrence", N.Loop, _ADAM, pairs="early", steps=400),
    _patient("both-directions", N.Both, Stepper("adam", 1e-2), pairs="end"),
    _patient("encoder-post-norm-at-1e-3", N.Encoder, Stepper("adam", 1e-3), pairs="tokens",
             steps=300),
    _patient("equilibrium-24", N.Equilibrium, _ADAM),
    _patient("one-of-two-tasks", N.Tasks, _ADAM, objective="first"),
    _patient("variational", N.Variational, _ADAM, objective="evidence", steps=400, goal=0.75),
    _patient("contrastive", N.Plain, _ADAM, objective="contrast", steps=200, goal=0.7, outputs=16),
    _patient("rprop", N.Plain, Odd("rprop", 1e-3), batch=512, steps=60),
    _patient("random-features", N.Plain, Odd("adam", 1e-2, slow=4), depth=2),
    _patient("sines", N.Plain, _ADAM, act="sin", gain=1.7),
    # --- what does not, and why ----------------------------------------------------------------
    _patient("grid-16", N.Grid, Stepper("adam", 1e-3), {"skips": {"skips": True}}, pairs="masks",
             kind="binary", depth=16, width=8, batch=32, steps=200, goal=0.85),
    _patient("sines-at-a-small-start", N.Plain, _SGD, {"critical start": {"gain": 1.7}}, act="sin",
             depth=12, gain=0.3, steps=300),
    _patient("leaky-stream", N.Grouped, Stepper("adam", 1e-3), {"skips": {"keep": 1.0}}, keep=0.1,
             norm=False, gain=0.1, depth=12, steps=300),
    _patient("gates-wide-open", N.Gated, Stepper(rate=0.3), {"gates": {"bias": -3.0}}, bias=6.0,
             gain=0.5, steps=400),
    _patient("equilibrium-without-its-input", N.Equilibrium, _SGD,
             {"skips": {"again": True, "optimizer": Stepper(rate=0.3)}}, again=False, gain=0.4,
             steps=300),
    _patient("all-weights-zero", N.Plain, _SGD, {"larger start": {"constant": None}}, constant=0.0),
    _patient("rounded-inside", N.Plain, _ADAM, {"reattached": {"rounded": False}}, rounded=True,
             gain=0.5, depth=3, width=6, goal=0.65, steps=300),
    _patient("made-anew-from-numbers", N.Plain, _ADAM, {"reattached": {"rebuilt": False}},
             rebuilt=True, depth=3, width=6, steps=300, goal=0.5),
    _patient("recurrence-cut-in-the-middle", N.Loop, _ADAM, {"reattached": {"forget": -1}},
             pairs="early", forget=8, act="tanh", steps=400, goal=0.3),
    _patient("recurrence-grows", N.Loop, Stepper(rate=0.03), {"smaller start": {"gain": 1.0}},
             pairs="end", gain=3.0),
    _patient("set-summed-in-thousands", N.SetSum, _ADAM,
             {"inputs scaled": {"by": 0.1}}, by=1e5, steps=400, rates=100.0),
    _patient("answers-clipped-at-zero", N.Plain, _SGD, {"biases at zero": {"clipped": 0.5}},
             clipped=-30.0),
    _patient("hot-attention", N.Encoder, Stepper("adam", 1e-3),
             {"start off the flat ends": {"heat": 1.0}}, pairs="tokens", heat=300.0, first=True,
             layers=1, steps=300),
    _patient("rows-without-a-length", N.Unsafe, _ADAM, {"finite": {"how": "safe"}}, how="length"),
    _patient("exponential-overflows", N.Unsafe, _ADAM, {"finite": {"how": "safe"}}, how="exp"),
    _patient("slope-hidden-by-where", N.Unsafe, _ADAM, {"finite": {"how": "safe"}}, how="where"),
    _patient("half-precision-weights", N.Plain, Odd("sgd", 1e-3), {"float32": {"dtype": "float32"}},
             dtype="float16", steps=2000, goal=0.85, rates=100.0),
    _patient("half-precision-adam", N.Plain, Stepper("adam", 1e-3),
             {"float32": {"dtype": "float32"},
              "finite": {"optimizer": Stepper("adam", 1e-3, epsilon=1e-4)}},
             dtype="float16"),
    _patient("labels-of-the-next", N.Plain, _ADAM, {"true labels": {"labels": "true"}},
             labels="next", batch=256),
    _patient("inputs-are-noise", N.Plain, _ADAM, {"true labels": {"labels": "true"}},
             labels="noise", batch=256),
    _patient("targets-in-thousands", N.Plain, Stepper("adam", 1e-3), {}, pairs="waves",
             kind="square", inputs=16, outputs=2, targets_by=3000.0, rates=100.0),
    _patient("rate-zero", N.Plain, Odd("sgd", 0.0),
             {"larger rate": {"optimizer": Odd("sgd", 0.1)}}),
    _patient("body-at-a-billionth", N.Plain, Odd("adam", 1e-2, slow=6, slow_rate=1e-9),
             {"larger rate": {"optimizer": Odd("adam", 1e-2, slow=6, slow_rate=1e-2)},
              "even larger rate": {"optimizer": Odd("adam", 0.1, slow=6, slow_rate=1e-9)}},
             width=6, gain=0.7, goal=0.5, steps=300),
    _patient("lion-rate-1", N.Plain, Odd("lion", 1.0), {}, rates=1000.0),
    _patient("lion-decay", N.Plain, Odd("lion", 1e-3, decay=100.0),
             {"decay off": {"optimizer": Odd("lion", 1e-3)}}, steps=300),
    _patient("adadelta-rate-1e-4", N.Plain, Odd("adadelta", 1e-4),
             {"larger rate": {"optimizer": Odd("adadelta", 1.0)}}),
    _patient("averaged-sgd-rate-30", N.Plain, Odd("asgd", 30.0), {}, rates=300.0),
    _patient("encoder-post-norm-rate-0.1", N.Encoder, Stepper("adam", 0.1), {}, pairs="tokens",
             layers=4, rates=100.0, steps=300),
    _patient("values-clipped-at-1e-7", N.Plain, Odd("values", 0.1, clip=1e-7),
             {"clip off": {"optimizer": Odd("values", 0.1)}}),
    _patient("everything-frozen-behind-the-first", N.Plain, _ADAM,
             {"unfrozen": {"frozen_from": 99}}, frozen_from=1, depth=4, gain=0.3, steps=300,
             goal=0.4),
]  # fmt: skip
