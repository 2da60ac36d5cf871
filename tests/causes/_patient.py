"""`Patient`: one small training, and the interventions that might make it train.

The cause of an illness is defined by experiment: it is the cause whose intervention makes the
training work. `CAUSE` says which cause each intervention speaks for. A training works when the loss
on data that it was not trained on ends below `goal` times that of the best constant answer.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skipway import Case

from ._optimizers import Stepper

CAUSE = {
    "skips": "vanishing",
    "larger start": "vanishing",
    "critical start": "vanishing",
    "gates": "vanishing",
    "larger inputs": "collapsed-signal",
    "inputs told apart": "collapsed-signal",
    "norm over more": "collapsed-signal",
    "random triplets": "collapsed-signal",
    "smaller start": "exploding",
    "scaled branches": "exploding",
    "inputs scaled": "exploding",
    "targets scaled": "exploding",
    "start off the flat ends": "saturation",
    "raw answers": "saturation",
    "sharper answers": "saturation",
    "loss off its flat end": "saturation",
    "biases at zero": "dead-units",
    "leaky units": "dead-units",
    "started again": "dead-units",
    "inputs centred": "collapsed-signal",
    "spread-out start": "collapsed-signal",
    "lighter prior": "collapsed-signal",
    "views stopped": "collapsed-signal",
    "less dropout": "collapsed-signal",
    "larger rate": "lr-too-small",
    "even larger rate": "lr-too-small",
    "smaller epsilon": "lr-too-small",
    "clip off": "lr-too-small",
    "smaller rate": "lr-too-large",
    "even smaller rate": "lr-too-large",
    "warm-up": "lr-too-large",
    "usual betas": "lr-too-large",
    "gradients zeroed": "lr-too-large",
    "usual momentum": "lr-too-large",
    "larger batch": "lr-too-large",
    "decay off": "weight-decay",
    "float32": "precision",
    "unfrozen": "frozen",
    "all held": "frozen",
    "reattached": "detached",
    "finite": "non-finite",
    "true labels": "no-signal",
    "mixed batches": "no-signal",
    "same shapes": "no-signal",
    "samples kept apart": "no-signal",
}
SOLVED = 0.05
"""Below this part of the loss of a constant answer there is nothing to establish: it is solved."""


@dataclass(frozen=True, kw_only=True)
class Patient:
    """A training problem as settings of a family, and interventions as changes of them.

    Attributes:
        name: unique.
        family: builds the case from settings.
        settings: of this patient.
        cures: name of an intervention in `CAUSE` to the settings that it changes.
        steps: how long the training lasts.
        before: how many steps of it lie behind when it is diagnosed.
        evaluating: diagnosed in eval mode, which a network that is being trained also may be in.
        goal: part of the loss of a constant answer that a training which works gets below.
    """

    name: str
    family: Callable[..., Case]
    settings: Mapping[str, Any] = field(default_factory=dict)
    cures: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    steps: int = 200
    before: int = 0
    evaluating: bool = False
    goal: float = 0.7

    def case(self, cure: str = "") -> Case:
        """Return the case, treated by one of `cures` if it is named."""
        changes = self.cures[cure] if cure else {}
        return self.family(**{**self.settings, **changes}).replace(name=self.name)

    @property
    def print(self) -> str:
        """A fingerprint of everything that the training depends on, so that labels can go stale."""
        parts = [self.family.__module__, self.family.__qualname__, sorted(self.settings.items())]
        parts += [sorted((k, sorted(v.items())) for k, v in self.cures.items())]
        parts += [self.steps, self.before, self.goal]
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


def start(case: Case, seed: int, steps: int = 0) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Return model and optimizer after so many steps of training."""
    torch.manual_seed(seed)
    model = case.model()
    optimizer = case.make_optimizer(model.parameters())
    train(case, model, optimizer, seed, steps)
    return model, optimizer


def train(
    case: Case, model: nn.Module, optimizer: torch.optim.Optimizer, seed: int, steps: int
) -> None:
    """Take so many steps; stops early once the loss is not finite."""
    model.train()
    for step in range(steps):
        loss = case.evaluate_loss(model, case.batch(1000 * seed + step))
        if not math.isfinite(loss.item()):
            return
        optimizer.zero_grad()
        if loss.requires_grad:
            loss.backward()
        optimizer.step()


def skill(case: Case, model: nn.Module, data: str = "test") -> float:
    """Return the loss on the test or train data over that of a constant answer, in eval mode."""
    model.eval()
    with torch.no_grad():
        value = float(case.evaluate_loss(model, getattr(case, data))) / chance(case)
    model.train()
    return value if math.isfinite(value) else math.inf


def chance(case: Case) -> float:
    """Return the loss of one answer for all of the test data, by the formulas of the textbook."""
    targets = case.test[1]
    if case.objective is not None:
        return float(case.metric(None, targets))  # type: ignore[misc]  # see `problem`
    with torch.no_grad():
        if targets.is_floating_point():
            constant = targets.mean(0, keepdim=True).expand(targets.shape)
            if case.loss.kind == "binary":  # type: ignore[union-attr]
                constant = torch.logit(constant.clamp(1e-3, 1 - 1e-3))
        else:
            share = F.one_hot(targets).double().mean(tuple(range(targets.dim())))
            shape = [1, -1] + [1] * (targets.dim() - 1)
            constant = (
                share.log().float().reshape(shape).expand(len(targets), -1, *targets.shape[1:])
            )
        return float(case.loss(constant, targets))  # type: ignore[misc]


def _smoothed(output: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(output, targets, label_smoothing=0.3)


def _summed(output: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(output, targets, reduction="sum")


def _focal(output: Tensor, targets: Tensor) -> Tensor:
    """Return the loss of Lin et al. 2017, which weighs what is told already by next to nothing."""
    each = F.cross_entropy(output, targets, reduction="none")
    return ((1 - torch.exp(-each)) ** 2 * each).mean()


@dataclass(frozen=True)
class Scaled:
    """A loss of a kind, times a constant."""

    kind: str
    factor: float = 1.0

    def __call__(self, output: Any, targets: Tensor) -> Tensor:
        """Return one number."""
        output = output.float()
        loss = {
            "classes": F.cross_entropy,
            "square": F.mse_loss,
            "binary": F.binary_cross_entropy_with_logits,
            "smoothed": _smoothed,
            "focal": _focal,
            "margin": F.multi_margin_loss,
            "summed": _summed,
        }[self.kind]
        return self.factor * loss(output, targets)


def rescaled(case: Case, factor: float) -> Case:
    """Return the same training with the loss multiplied and everything else compensated for it."""

    def optimizer(parameters: Any) -> torch.optim.Optimizer:
        found = case.optimizer(parameters)
        for group in found.param_groups:
            if "eps" in group:
                group["eps"] *= factor
            elif not group.get("by_sign", isinstance(found, torch.optim.Rprop)):
                group["lr"] /= factor
            if group.get("weight_decay") and not group.get("decoupled_weight_decay", False):
                group["weight_decay"] *= factor
            if "lambd" in group:
                group["lambd"] *= factor  # averaged SGD decays by it times the rate
            if "clip" in group:
                group["clip"] *= factor
        return found

    if case.objective is not None:
        objective, metric = case.objective, case.metric
        assert metric is not None
        return case.replace(
            objective=lambda model, batch: factor * objective(model, batch),
            metric=lambda output, targets: factor * metric(output, targets),
            optimizer=optimizer,
        )
    assert isinstance(case.loss, Scaled)
    return case.replace(loss=Scaled(case.loss.kind, case.loss.factor * factor), optimizer=optimizer)


def problem(
    model: Callable[[], nn.Module],
    train_data: Any,
    test_data: Any,
    *,
    kind: str = "classes",
    factor: float = 1.0,
    objective: Callable[[nn.Module, Any], Tensor] | None = None,
    constant: float = 1.0,
    optimizer: str = "sgd",
    rate: float = 0.1,
    decay: float = 0.0,
    epsilon: float = 1e-8,
    clip: float = math.inf,
    hold_from: int = 0,
    batch: int = 64,
    labels: str = "true",
    offset: float = 0.0,
    spread: float = 1.0,
) -> Case:
    """Return a case from settings.

    Args:
        model: a factory.
        train_data: inputs and targets.
        test_data: the same.
        kind: of the loss: classes, square or binary.
        factor: of the loss.
        objective: instead of `kind`.
        constant: what `objective` is for the best constant answer.
        optimizer: sgd, momentum, adam, adamw or rmsprop.
        rate: learning rate.
        decay: weight decay.
        epsilon: Adam's.
        clip: norm to which SGD's gradients are clipped.
        hold_from: how many of the first parameters the optimizer does not hold.
        batch: its size.
        labels: of the training data: true, shuffled, or of one class only.
        offset: added to the inputs.
        spread: that the inputs are multiplied by.
    """
    train_data, test_data = (
        (_moved(inputs, offset, spread), targets) for inputs, targets in (train_data, test_data)
    )
    train_data = _relabelled(train_data, labels)
    return Case(
        model=model,
        train=train_data,
        test=test_data,
        loss=None if objective else Scaled(kind, factor),
        objective=objective,
        metric=(lambda _, __: constant) if objective else None,
        optimizer=Stepper(optimizer, rate, decay, epsilon, clip, hold_from),
        batch_size=batch,
    )


def _moved(inputs: Any, offset: float, spread: float) -> Any:
    if offset == 0 and spread == 1:
        return inputs
    return inputs * spread + offset


def _relabelled(pair: tuple[Any, Tensor], labels: str) -> tuple[Any, Tensor]:
    inputs, targets = pair
    if labels == "shuffled":
        order = torch.randperm(len(targets), generator=torch.Generator().manual_seed(11))
        return inputs, targets[order]
    if labels == "one class":
        return inputs[targets == 0], targets[targets == 0]
    return inputs, targets
