"""Is there something to diagnose? Every error a caller can run into before the first pass."""

from __future__ import annotations

from numbers import Integral
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader, Dataset

from .._case import Loss, Objective, split
from .._errors import BatchError, LossError, ModelError, OptimizerError
from .._several_optimizers import parts as parts_of
from .._trace._calls import tensors
from ._together import Together
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
    for name, given in (("loss_fn", loss_fn), ("objective", objective)):
        if given is not None and not callable(given):
            raise LossError(
                f"{name} is of type {type(given).__name__}, and cannot be called. Give a function "
                "that returns the loss: loss_fn(output, targets) or objective(model, batch)."
            )


def check_steps(steps: object) -> None:
    """Raise OptimizerError unless it is left open or a number of steps."""
    if steps is not None and not (is_whole(steps) and int(steps) >= 0):
        raise OptimizerError(
            f"steps={steps!r} is no number of steps. Give 0 for none, 10 or more to try as many on "
            "a copy, or leave it out to have them tried where one step leaves a doubt."
        )


def is_whole(given: Any) -> TypeGuard[int]:
    """Tell whether this is a whole number, NumPy's too, and no truth value."""
    return isinstance(given, Integral) and not isinstance(given, bool)


def check_model(model: object) -> None:
    """Raise ModelError unless `model` is a module whose layers and parameters can be seen."""
    if isinstance(model, type) and issubclass(model, nn.Module):
        name = model.__name__
        raise ModelError(f"The model is the class {name}. Build it: {name}(...).")
    if not isinstance(model, nn.Module):
        raise ModelError(
            f"The model is of type {type(model).__name__}, not a torch.nn.Module. Give the network "
            "itself, not a function that builds it."
        )
    if isinstance(model, torch.jit.ScriptModule):
        raise ModelError(
            f"The model ({type(model).__name__}) is compiled by torch.jit, so that its layers are "
            "not called one by one. Give the module that it was made from."
        )
    parameters = list(model.named_parameters())
    if not parameters:
        raise ModelError(
            f"The model ({type(model).__name__}) has no parameters, so there is no gradient to "
            "follow. Register its layers as attributes, in nn.ModuleList where they are many; of a "
            "quantised model give the one that it was made from."
        )
    for name, parameter in parameters:
        if isinstance(parameter, nn.parameter.UninitializedParameter):
            raise ModelError(
                f"The parameter `{name}` of a lazy layer has no shape yet. Call the model once "
                "on its inputs, then diagnose it."
            )
        if parameter.is_meta:
            raise ModelError(
                f"The parameter `{name}` is on the meta device, where there are no numbers. Put "
                'the model on a real one, model.to_empty(device="cpu"), and load or start its '
                "weights."
            )


def check_batch(batch: Any, pair: bool, called: str = "The batch") -> int:
    """Return the number of samples.

    Args:
        batch: of any kind.
        pair: whether it has to be `(inputs, targets)`.
        called: at the beginning of a sentence.

    Returns:
        The length of the first tensor in it, 0 where there is none.

    Raises:
        BatchError: no pair, lengths differ, one sample only, NaN or infinity in it.
    """
    if isinstance(batch, (DataLoader, Dataset)):
        kind = type(batch).__name__
        raise BatchError(
            f"{called} is a {kind}. Give one batch of it: next(iter(loader)), and further ones "
            "as batches= where the verdict should rest on several."
        )
    parts = [("inputs", each) for each in tensors(batch)]
    if pair:
        inputs, targets = split(batch, called)
        parts = [("inputs", each) for each in tensors(inputs)]
        parts += [("targets", each) for each in tensors(targets)]
        _check_lengths(inputs, targets, called)
    for part, tensor in parts:
        _check_finite(part, tensor)
    size = next((len(each) for _, each in parts if each.dim()), 0)
    if size == 1:
        raise BatchError(
            f"{called} holds one sample. With fewer than two there is nothing to tell apart; "
            "give a batch as training sees it."
        )
    return size


def _check_lengths(inputs: Any, targets: Any, called: str) -> None:
    given, wanted = tensors(inputs), tensors(targets)
    if len(given) == 1 and len(wanted) == 1 and given[0].dim() and wanted[0].dim():
        if not len(given[0]) or not len(wanted[0]):
            raise BatchError(f"{called} is empty. Give a batch as training sees it.")
        if len(given[0]) != len(wanted[0]):
            raise BatchError(
                f"{called} has {plural(len(given[0]), 'input')} and "
                f"{plural(len(wanted[0]), 'target')}. Give as many of the one as of the other."
            )


def _check_finite(part: str, tensor: Tensor) -> None:
    if tensor.is_meta:
        raise BatchError(
            f"The {part} are on the meta device, where there are no numbers. Give a batch of data, "
            "on the device of the model."
        )
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
    return f"The optimizer is a {type(given).__name__}, not a torch.optim.Optimizer."


def check_optimizer(optimizer: Optimizer | None, model: nn.Module, *, beside: bool = False) -> None:
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
            "you diagnose, after the model was copied, moved or wrapped"
            + (", or leave it out of the list if it trains another model." if beside else ".")
        )


def together(optimizer: Any, model: nn.Module) -> Together | None:
    """Return the optimizer, or the several, as one; `None` where there is none.

    Raises:
        OptimizerError: there is none in the list, one holds none of the model's parameters, or
            two of them hold the same one.
    """
    if optimizer is None:
        return None
    each = list(optimizer) if isinstance(optimizer, (list, tuple)) else list(parts_of(optimizer))
    if not each:
        raise OptimizerError(
            "The list of optimizers is empty. Give those that train the model, or leave it out."
        )
    for one in each:
        if not isinstance(one, Optimizer):
            raise OptimizerError(_no_optimizer(one))
        check_optimizer(one, model, beside=len(each) > 1)
    found = Together(each)
    _check_apart(found, model)
    return found


def _check_apart(optimizer: Together, model: nn.Module) -> None:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    first: dict[int, str] = {}
    for label, each in zip(optimizer.labels, optimizer.each, strict=True):
        own = {id(p) for group in each.param_groups for p in group["params"]}
        both = [key for key in own if key in first]
        if both:
            key = min(both, key=lambda key: list(names).index(key) if key in names else len(names))
            raise OptimizerError(
                f"{plural(len(both), 'parameter')} {'is' if len(both) == 1 else 'are'} held by two "
                f"optimizers, {first[key]} and {label} (`{names.get(key, 'not of this model')}` "
                "among them), and would be moved twice at every step. Give each parameter to one. "
                "If the two take turns, or follow a loss each, diagnose with one at a time."
            )
        first.update(dict.fromkeys(own, label))
