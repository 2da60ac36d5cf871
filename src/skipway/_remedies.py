"""Remedies other than a skip connection: a case goes in, a treated case comes out.

Each is data around the case's own model factory, so processes can share it, and none changes the
case it was given.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.overrides import TorchFunctionMode

from ._case import Case, split
from ._errors import CaseError, ModelError
from ._trace import Graph, Unit, observe

# What lies between a weight layer and its activation without being one.
_PASSES = {
    "batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm", "add", "mul", "dropout",
    "view", "reshape", "flatten", "contiguous", "to", "float", "permute", "transpose", "clone",
    "max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "squeeze", "unsqueeze",
    "alpha_dropout", "feature_alpha_dropout", "dropout2d", "identity",
}  # fmt: skip
_RECTIFIERS = {
    "relu", "leaky_relu", "elu", "gelu", "silu", "celu", "selu", "relu6", "softplus", "mish",
    "hardswish", "prelu", "rrelu", "threshold", "clamp_min",
}  # fmt: skip
_ACTIVATIONS = {
    **dict.fromkeys(_RECTIFIERS, "rectifier"),
    **dict.fromkeys(("tanh", "softsign", "hardtanh"), "tanh"),
    **dict.fromkeys(("sigmoid", "hardsigmoid"), "sigmoid"),
}
# Measured on 50-layer networks on digits (SGD; rates 0.01, 0.0316 and 0.1): tanh 90 % with gain
# 1 and 96 % with 1.05; sigmoid 12 to 56 % with 4 (the inverse of its slope at 0), 73 to 84 % with
# 4.6, 79 to 90 % with 5, 77 to 82 % with 5.5.
GAINS = {"rectifier": math.sqrt(2), "tanh": 1.05, "sigmoid": 5.0, "none": 1.0}


def with_learning_rate(case: Case, rate: float) -> Case:
    """Return the case with another learning rate for all its parameters.

    Raises:
        CaseError: the rate is not above zero.

    Example:
        >>> from skipway import cases
        >>> treated = with_learning_rate(cases.load("plain-mlp"), 0.1)
        >>> treated.make_optimizer([torch.nn.Parameter(torch.zeros(1))]).param_groups[0]["lr"]
        0.1
    """
    if not rate > 0 or not math.isfinite(rate):
        raise CaseError(f"A learning rate of {rate!r} trains nothing; give one above zero.")
    return case.replace(optimizer=_AtRate(case.optimizer, rate))


def in_float32(case: Case) -> Case:
    """Return the case with model and data in float32 where they were in another float type.

    Where the model's forward casts to a half type by itself and does not run otherwise, those
    casts give float32 as well.

    Raises:
        CaseError: the data is a Dataset, whose samples cannot be cast from outside; or the model
            does not run in float32.

    Example:
        >>> from skipway import cases
        >>> treated = in_float32(cases.load("bf16-updates"))
        >>> {parameter.dtype for parameter in treated.model().parameters()}
        {torch.float32}
    """
    for part in (case.train, case.test):
        if not isinstance(part, (tuple, list)):
            raise CaseError(
                f"The data of case {case.name!r} is a {type(part).__name__}, which cannot be cast "
                "to float32 from outside. Cast its samples where they are made."
            )
    treated = case.replace(
        model=_InFloat32(case.model), train=_floating(case.train), test=_floating(case.test)
    )
    if _failure(treated) is not None:
        treated = treated.replace(model=_InFloat32(case.model, within=True))
    if (error := _failure(treated)) is not None:
        raise CaseError(
            f"The model of case {case.name!r} does not run in float32: {error} Where its forward "
            "casts to another type by itself, let it cast to the type of its weights."
        ) from error
    return treated


def unfrozen(case: Case) -> Case:
    """Return the case with every floating parameter trained and given to the optimizer.

    Parameters that were not in the optimizer get the settings of its first group.

    Example:
        >>> from skipway import cases
        >>> treated = unfrozen(cases.load("frozen"))
        >>> all(parameter.requires_grad for parameter in treated.model().parameters())
        True
    """
    return case.replace(model=_Unfrozen(case.model), optimizer=_WithAll(case.optimizer))


def better_start(case: Case) -> Case:
    """Return the case with its weight layers started as well as is known for their activations.

    Norms stay as they are, biases start at zero, and so do the places of a kernel beside its
    centre (delta-orthogonal, Xiao et al. 2018, 1806.05393). Before

    - a rectifier: mirrored orthogonal, `[[W, -W], [-W, W]]`, the "looks linear" start of Balduzzi
      et al. 2017 (1702.08591), so that the network is an isometry although half of its units are
      off; where that does not fit (an odd width), orthogonal with gain sqrt(2) (He et al. 2015,
      1502.01852);
    - tanh: orthogonal with gain 1.05 (Saxe et al. 2013, 1312.6120);
    - sigmoid: orthogonal with gain 5, and a bias that takes off the mean of 0.5 coming in.

    The rules and gains were picked for deep networks on digits by test accuracy, so as a control
    this start is, if anything, a little too strong there.

    Raises:
        CaseError: the case has an objective, or the model has no weight layer to start anew.

    Example:
        >>> from skipway import cases
        >>> model = better_start(cases.load("tanh-mlp")).model()
        >>> bool(model.head.bias.eq(0).all())
        True
    """
    if case.objective is not None:
        raise CaseError(
            f"Case {case.name!r} has an objective, so it is unknown which part of its batch the "
            "model takes, and its activations cannot be found."
        )
    inputs = split(case.replace(batch_size=2).batch())[0]
    return case.replace(model=_BetterStart(case.model, inputs))


def _failure(case: Case) -> ModelError | None:
    """Run the model once; where it cannot, return why."""
    if case.objective is not None:
        return None  # what of the batch goes in is unknown
    with torch.random.fork_rng(devices=[]):
        model = case.model()
    try:
        observe(model, split(case.replace(batch_size=2).batch())[0])
    except ModelError as error:
        return error
    return None


@dataclass(frozen=True)
class _AtRate:
    optimizer: Callable[[Iterable[nn.Parameter]], Optimizer]
    rate: float

    def __call__(self, parameters: Iterable[nn.Parameter]) -> Optimizer:
        optimizer = self.optimizer(parameters)
        for group in optimizer.param_groups:
            group["lr"] = self.rate
        return optimizer


@dataclass(frozen=True)
class _InFloat32:
    model: Callable[[], nn.Module]
    within: bool = False

    def __call__(self) -> nn.Module:
        model = self.model().to(torch.float32)
        if self.within:
            _keep_in_float32(model)
        return model


def _keep_in_float32(model: nn.Module) -> None:
    """Make the casts in the model's own forward give float32; its layers keep their names."""
    kind = type(model)

    def forward(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        with _NoHalf():
            return kind.forward(self, *args, **kwargs)

    model.__class__ = type(kind.__name__, (kind,), {"forward": forward})


class _NoHalf(TorchFunctionMode):
    """Turns every request for a half type into one for float32."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if getattr(func, "__name__", "") in ("half", "bfloat16"):
            return args[0].float()
        given = {key: _not_half(value) for key, value in (kwargs or {}).items()}
        return func(*map(_not_half, args), **given)


def _not_half(value: Any) -> Any:
    # Compared by identity: a tensor's own `==` would run inside the model.
    half = any(value is each for each in (torch.float16, torch.bfloat16))
    return torch.float32 if half else value


@dataclass(frozen=True)
class _Unfrozen:
    model: Callable[[], nn.Module]

    def __call__(self) -> nn.Module:
        model = self.model()
        for parameter in model.parameters():
            # Integer parameters (quantised weights) cannot carry a gradient.
            parameter.requires_grad_(parameter.is_floating_point() or parameter.is_complex())
        return model


@dataclass(frozen=True)
class _WithAll:
    optimizer: Callable[[Iterable[nn.Parameter]], Optimizer]

    def __call__(self, parameters: Iterable[nn.Parameter]) -> Optimizer:
        given = list(parameters)
        optimizer = self.optimizer(given)
        held = {id(each) for group in optimizer.param_groups for each in group["params"]}
        optimizer.param_groups[0]["params"].extend(p for p in given if id(p) not in held)
        return optimizer


@dataclass(frozen=True)
class _BetterStart:
    model: Callable[[], nn.Module]
    inputs: Any

    def __call__(self) -> nn.Module:
        model = self.model()
        restart(model, observe(model, self.inputs))
        return model


def restart(model: nn.Module, graph: Graph) -> None:
    """Start every linear and convolutional layer of `model` anew; see `better_start`.

    Raises:
        CaseError: there is none.
    """
    done: set[int] = set()
    mirrored: dict[int, int] = {}
    for unit in graph.units:
        layer = _layer(model, unit)
        if layer is None or id(layer) in done:
            continue
        done.add(id(layer))
        kind = activation_kind(graph, unit)
        source, before = _source(graph, unit)
        width = mirrored.get(source, 0)
        into = width > 0 and width == layer.weight.shape[1] and before == "rectifier"
        onto = kind == "rectifier" and not unit.shared and _mirrors(layer)
        _fill(layer, kind, before, into, onto)
        if onto:
            mirrored[unit.node] = layer.weight.shape[0]
    if not done:
        raise CaseError(
            f"The model ({type(model).__name__}) has no Linear or convolution layer of its own to "
            "start anew."
        )


def _layer(model: nn.Module, unit: Unit) -> Any:
    module = model.get_submodule(unit.module)
    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
    own = dict(module.named_parameters(recurse=False))
    return module if isinstance(module, kinds) and "weight" in own else None


def _mirrors(layer: Any) -> bool:
    return layer.weight.shape[0] % 2 == 0 and getattr(layer, "groups", 1) == 1


def activation_kind(graph: Graph, unit: Unit) -> str:
    """Return the kind of the activation that follows, past norms and reshapes."""
    here, seen = list(graph.consumers[unit.node]), set[int]()
    while here:
        index = here.pop(0)
        op = graph.nodes[index].op.rstrip("_")
        if op in _ACTIVATIONS:
            return _ACTIVATIONS[op]
        if op in _PASSES and index not in seen:
            seen.add(index)
            here += graph.consumers[index]
    return "none"


def _source(graph: Graph, unit: Unit) -> tuple[int, str]:
    """Return the weight layer before (-1 for none) and the activation between."""
    node, kind = graph.nodes[unit.node], "none"
    while node.inputs:
        node = graph.nodes[node.inputs[0]]
        if graph.unit_at(node.index) is not None:
            return node.index, kind
        kind = _ACTIVATIONS.get(node.op.rstrip("_"), kind)
    return -1, kind


@torch.no_grad()
def _fill(layer: Any, kind: str, before: str, into: bool, onto: bool) -> None:
    rows, columns = layer.weight.shape[:2]
    if into or onto:
        # A mirrored layer carries its signal exactly, so it needs no gain; a first one that is
        # only mirrored outwards hands on `relu(s)` and `relu(-s)`, which together hold all of s.
        matrix = _orthogonal(rows // 2 if onto else rows, columns // 2 if into else columns, 1.0)
        matrix = torch.cat([matrix, -matrix], 1) if into else matrix
        matrix = torch.cat([matrix, -matrix], 0) if onto else matrix
    else:
        matrix = _orthogonal(rows, columns, GAINS[kind])
    weight = torch.zeros(layer.weight.shape)
    centre = [size // 2 for size in weight.shape[2:]]
    weight.view(rows, columns, -1)[:, :, _flat(centre, weight.shape[2:])] = matrix
    layer.weight.copy_(weight)
    if layer.bias is not None:
        layer.bias.zero_()
        if before == "sigmoid":
            layer.bias.copy_(-0.5 * matrix.sum(1))


def _flat(place: Sequence[int], shape: Sequence[int]) -> int:
    """Return where `place` is in a grid of this shape when it is laid out in a row."""
    index = 0
    for each, size in zip(place, shape, strict=True):
        index = index * size + each
    return index


def _orthogonal(rows: int, columns: int, gain: float) -> Tensor:
    matrix = torch.empty(rows, columns)
    nn.init.orthogonal_(matrix, gain)
    return matrix


def _floating(part: Any) -> Any:
    if isinstance(part, Tensor):
        return part.to(torch.float32) if part.is_floating_point() else part
    if isinstance(part, Mapping):
        return {key: _floating(value) for key, value in part.items()}
    if isinstance(part, (tuple, list)):
        return tuple(_floating(value) for value in part)
    return part
