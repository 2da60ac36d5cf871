"""How a network is judged: its loss and its metric over a whole set, and what guessing gives."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from .._case import Case, Data, call, size, split, take
from .._errors import BatchError, CaseError
from ._split import class_labels

Kind = Literal["accuracy", "metric", "loss"]
# Samples at once without a gradient: enough to be fast, few enough to fit where training fits.
_AT_ONCE = 256


@torch.no_grad()
def evaluate(
    case: Case, kind: Kind, model: nn.Module, data: Data, index: Tensor
) -> tuple[float, float]:
    """Return the mean loss and the metric of `model` on the samples at `index`.

    The model is in evaluation mode meanwhile, and each module's own mode comes back after.
    For `"loss"` the metric is the loss; for `"accuracy"` it is in percent.
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    losses, outputs, targets = [], [], []
    step = max(case.batch_size, _AT_ONCE)
    try:
        for start in range(0, len(index), step):
            batch = take(data, index[start : start + step])
            loss, output = _loss_and_output(case, kind, model, batch)
            losses.append(loss.double().reshape(()) * len(index[start : start + step]))
            if kind != "loss":
                outputs.append(output)
                targets.append(split(batch)[1])
    finally:
        for module, mode in modes:
            module.training = mode
    mean = float(torch.stack(losses).sum()) / len(index)
    if kind == "loss":
        return mean, mean
    return mean, _metric(case, kind, _join(outputs), _join(targets))


def _loss_and_output(case: Case, kind: Kind, model: nn.Module, batch: Any) -> tuple[Tensor, Any]:
    if case.loss is not None:
        # One forward serves both.
        inputs, targets = split(batch)
        output = call(model, inputs)
        return case.loss(output, targets), output
    loss = case.evaluate_loss(model, batch)
    return loss, None if kind == "loss" else call(model, split(batch)[0])


def _metric(case: Case, kind: Kind, output: Any, targets: Any) -> float:
    if kind == "metric":
        assert case.metric is not None
        return float(case.metric(output, targets))
    axis = class_axis(output, targets)
    assert axis is not None
    return 100 * float((output.argmax(axis) == targets).double().mean())


def metric_kind(case: Case, model: nn.Module) -> Kind:
    """Return what this case is judged by; see `Case.metric`.

    Raises:
        CaseError: the metric cannot be computed, or is no number.
    """
    if case.metric is None and case.objective is not None:
        return "loss"
    try:
        inputs, targets = split(_sample(case.test))
    except BatchError as error:
        raise CaseError(f"The metric of case {case.name!r} needs targets. {error}") from error
    with torch.no_grad():
        output = call(model, inputs)
    if case.metric is None:
        return "loss" if class_axis(output, targets) is None else "accuracy"
    try:
        float(case.metric(output, targets))
    except Exception as error:
        raise CaseError(
            f"The metric of case {case.name!r} failed on two samples: {type(error).__name__}: "
            f"{error}. It is called as metric(output, targets) and returns one number."
        ) from error
    return "metric"


def class_axis(output: Any, targets: Any) -> int | None:
    """Return the axis of `output` that holds one score per class, if `targets` are classes."""
    if not isinstance(output, Tensor) or not isinstance(targets, Tensor):
        return None
    whole = not (targets.is_floating_point() or targets.is_complex() or targets.dtype == torch.bool)
    if not whole or output.dim() != targets.dim() + 1:
        return None
    for axis in (1, output.dim() - 1):
        shape = (*output.shape[:axis], *output.shape[axis + 1 :])
        if shape == targets.shape and output.shape[axis] > 1:
            return axis
    return None


@torch.no_grad()
def chance_loss(case: Case, model: nn.Module, index: Tensor) -> float | None:
    """Return the loss of the best constant output on the training samples at `index`.

    For classes that is their frequencies as log-probabilities (the entropy of the labels, where
    the loss is cross-entropy); for numbers their mean, or the log-odds of it (the variance for
    the squared error). `None` where outputs or targets are of another kind.
    """
    if case.loss is None or not isinstance(case.train, (tuple, list)):
        return None
    targets = case.train[1][index] if isinstance(case.train[1], Tensor) else None
    output = call(model, split(_sample(case.train))[0])
    if targets is None or not isinstance(output, Tensor):
        return None
    losses = [_constant_loss(case, each, targets) for each in _constants(output, targets)]
    finite = [loss for loss in losses if loss is not None and math.isfinite(loss)]
    return min(finite, default=None)


def _constants(output: Tensor, targets: Tensor) -> list[Tensor]:
    if class_axis(output, targets[: len(output)]) == 1 and targets.dim() == 1:
        if not 0 <= int(targets.min()) <= int(targets.max()) < output.shape[1]:
            return []
        share = torch.bincount(targets, minlength=output.shape[1]).to(output) / len(targets)
        # A class that never occurs would give 0 * -inf.
        return [share.clamp_min(1e-30).log().expand(len(targets), -1)]
    if targets.is_floating_point() and output.shape[1:] == targets.shape[1:]:
        mean = targets.double().mean(0)
        constants = (
            [mean, torch.logit(mean)] if bool((mean > 0).all() & (mean < 1).all()) else [mean]
        )
        return [each.to(output).expand(targets.shape) for each in constants]
    return []


def _constant_loss(case: Case, constant: Tensor, targets: Tensor) -> float | None:
    assert case.loss is not None
    try:
        value = case.loss(constant, targets)
        return float(value) if value.numel() == 1 else None
    except Exception:
        # A loss may want more than a constant tensor offers; then there is no such yardstick.
        return None


def chance_metric(kind: Kind, data: Data, guess: float | None) -> float | None:
    """Return the metric of always giving the best constant answer; `guess` is its loss."""
    if kind == "loss":
        return guess
    labels = class_labels(data)
    if kind != "accuracy" or labels is None:
        return None
    return 100 * float(torch.bincount(labels).max()) / len(labels)


def _sample(data: Data) -> Any:
    return take(data, torch.arange(min(2, size(data))))


def _join(parts: list[Any]) -> Any:
    if isinstance(parts[0], Tensor):
        return torch.cat(parts)
    if isinstance(parts[0], Mapping):
        return {key: _join([part[key] for part in parts]) for key in parts[0]}
    if isinstance(parts[0], (tuple, list)):
        return tuple(_join(list(each)) for each in zip(*parts, strict=True))
    return parts[0] if len(parts) == 1 else parts
