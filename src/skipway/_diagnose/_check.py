"""Is there something to diagnose? Every error a caller can run into before the first pass."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader, Dataset

from .._case import Loss, Objective, split
from .._errors import BatchError, LossError, ModelError, OptimizerError
from .._trace._calls import tensors
from ._words import plural


def check_task(loss_fn: Loss | None, objective: Objective | None) -> None:
    """Raise LossError unless exactly one of the two is given."""
    if (loss_fn is None) == (objective is None):
        raise LossError(
            "Give exactly one of loss_fn, a criterion of output and target, and objective=, a "
            "function of model and batch."
        )
    if isinstance(loss_fn, type):
        name = loss_fn.__name__
        raise LossError(f"The loss is the class {name}. Build it: {name}().")


def check_steps(steps: object) -> None:
    """Raise OptimizerError unless it is left open or a number of steps."""
    whole = isinstance(steps, int) and not isinstance(steps, bool) and steps >= 0
    if steps is not None and not whole:
        raise OptimizerError(
            f"steps={steps!r} is no number of steps. Give 0 for none, 10 or more to try as many on "
            "a copy, or leave it out to have them tried where one step leaves a doubt."
        )


def check_model(model: object) -> None:
    """Raise ModelError unless `model` is a module whose parameters exist."""
    if not isinstance(model, nn.Module):
        raise ModelError(
            f"The model is a {type(model).__name__}, not a torch.nn.Module. Give the network "
            "itself, not a function that builds it."
        )
    parameters = list(model.named_parameters())
    if not parameters:
        raise ModelError(
            f"The model ({type(model).__name__}) has no parameters, so there is no gradient to "
            "follow. Register its layers as attributes, in nn.ModuleList where they are many."
        )
    for name, parameter in parameters:
        if isinstance(parameter, nn.parameter.UninitializedParameter):
            raise ModelError(
                f"The parameter `{name}` of a lazy layer has no shape yet. Call the model once "
                "on its inputs, then diagnose it."
            )


def check_batch(batch: Any, pair: bool) -> int:
    """Return the number of samples.

    Args:
        batch: of any kind.
        pair: whether it has to be `(inputs, targets)`.

    Returns:
        The length of the first tensor in it, 0 where there is none.

    Raises:
        BatchError: no pair, lengths differ, one sample only, NaN or infinity in it.
    """
    if isinstance(batch, (DataLoader, Dataset)):
        kind = type(batch).__name__
        raise BatchError(
            f"The batch is a {kind}. Give one batch of it: next(iter(loader)), and further ones "
            "as batches= where the verdict should rest on several."
        )
    parts = [("inputs", each) for each in tensors(batch)]
    if pair:
        inputs, targets = split(batch)
        parts = [("inputs", each) for each in tensors(inputs)]
        parts += [("targets", each) for each in tensors(targets)]
        _check_lengths(inputs, targets)
    for part, tensor in parts:
        _check_finite(part, tensor)
    size = next((len(each) for _, each in parts if each.dim()), 0)
    if size == 1:
        raise BatchError(
            "The batch holds one sample. With fewer than two there is nothing to tell apart; "
            "give a batch as training sees it."
        )
    return size


def _check_lengths(inputs: Any, targets: Any) -> None:
    given, wanted = tensors(inputs), tensors(targets)
    if len(given) == 1 and len(wanted) == 1 and given[0].dim() and wanted[0].dim():
        if not len(given[0]) or not len(wanted[0]):
            raise BatchError("The batch is empty. Give a batch as training sees it.")
        if len(given[0]) != len(wanted[0]):
            raise BatchError(
                f"The batch has {plural(len(given[0]), 'input')} and "
                f"{plural(len(wanted[0]), 'target')}. Give as many of the one as of the other."
            )


def _check_finite(part: str, tensor: Tensor) -> None:
    if not tensor.is_floating_point() or bool(torch.isfinite(tensor).all()):
        return
    bad = ~torch.isfinite(tensor)
    kind = "NaN" if bool(torch.isnan(tensor).any()) else "infinite"
    rows = bad.reshape(len(bad), -1).any(1) if bad.dim() else bad.reshape(1)
    first = int(rows.nonzero()[0])
    raise BatchError(
        f"The {part} hold {plural(int(bad.sum()), 'value')} that {_is(bad)} {kind}, in "
        f"{plural(int(rows.sum()), 'sample')} of {len(rows)}; the first is sample {first}. Leave "
        "these samples out or fill the gaps before training.",
        page="stuck#non-finite",
    )


def _is(bad: Tensor) -> str:
    return "is" if int(bad.sum()) == 1 else "are"


def _no_optimizer(given: object) -> str:
    if isinstance(given, type) and issubclass(given, Optimizer):
        name = given.__name__
        return f"The optimizer is the class {name}. Build it: {name}(model.parameters(), lr=...)."
    if isinstance(given, (list, tuple)) and all(isinstance(each, Optimizer) for each in given):
        return (
            f"{plural(len(given), 'optimizer')} are given, and diagnose takes the step of one. "
            "Give the one that holds the last layers; of what another holds it is then told that "
            "the optimizer does not hold it."
        )
    return f"The optimizer is a {type(given).__name__}, not a torch.optim.Optimizer."


def check_optimizer(optimizer: Optimizer | None, model: nn.Module) -> None:
    """Raise OptimizerError where the optimizer holds none of the model's parameters."""
    if optimizer is None:
        return
    if not isinstance(optimizer, Optimizer):
        raise OptimizerError(_no_optimizer(optimizer))
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    own = [id(p) for p in model.parameters()]
    if not held & set(own):
        raise OptimizerError(
            f"The optimizer ({type(optimizer).__name__}) holds {plural(len(held), 'parameter')} "
            f"and none of them is of this model ({type(model).__name__}, "
            f"{plural(len(own), 'parameter')}). Build it from the parameters of the model that "
            "you diagnose, after the model was copied, moved or wrapped."
        )
