"""The networks that always run beside: without them a gain may be a gain over nothing.

- `linear`: no hidden layer at all. Where it does as well, depth was never needed.
- `shallow`: one hidden layer, or two convolutions. The same question, one step further.
- `better start`: the given network, initialised as well as is known. Where it does as well, no
  skip connection was needed.
- `normalised`: the given network with a norm behind every hidden layer. The same question.
- `same size`: the given network made as wide as it takes to have as many parameters as the
  largest treated one. Where it does as well, it was the parameters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from .._case import Case, split, take
from .._errors import CaseError, SkipwayError
from .._remedies import better_start
from ._normalised import Normalised
from ._widened import Widened, factor_for

# Within a tenth of the parameters, the reference is the twin of the same size itself.
_SAME = 0.9
DETAILS = {
    "better start": "the plain network, its weights started as well as is known",
    "normalised": "the plain network, a norm behind every hidden layer",
    "same size": "the plain network, as many parameters as the largest treated one",
    "shallow": "one hidden layer",
    "linear": "no hidden layer",
}


@dataclass(frozen=True)
class Linear:
    """A factory: the flat input through one layer."""

    inputs: int
    outputs: tuple[int, ...]
    dtype: torch.dtype

    def __call__(self) -> nn.Sequential:
        """Build it."""
        last = nn.Linear(self.inputs, self.outputs[0] if self.outputs else 1, dtype=self.dtype)
        # One number a sample without an axis of its own, as a regression may give.
        return nn.Sequential(nn.Flatten(), last, *([] if self.outputs else [nn.Flatten(0)]))


@dataclass(frozen=True)
class Shallow:
    """A factory: one hidden layer of `width`; two convolutions where the input is an image."""

    shape: tuple[int, ...]
    outputs: tuple[int, ...]
    width: int
    dtype: torch.dtype

    def __call__(self) -> nn.Module:
        """Build it."""
        return self._images() if len(self.shape) == 3 else self._rows()

    def _rows(self) -> nn.Module:
        inputs = _product(self.shape)
        hidden = nn.Linear(inputs, self.width, dtype=self.dtype)
        last = Linear(self.width, self.outputs, self.dtype)()
        return nn.Sequential(nn.Flatten(), hidden, nn.ReLU(), *last)

    def _images(self) -> nn.Module:
        side = tuple(min(4, size) for size in self.shape[1:])
        inputs = self.width * side[0] * side[1]
        return nn.Sequential(
            nn.Conv2d(self.shape[0], self.width, 3, padding=1, dtype=self.dtype),
            nn.ReLU(),
            nn.Conv2d(self.width, self.width, 3, padding=1, dtype=self.dtype),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(side),
            *Linear(inputs, self.outputs, self.dtype)(),
        )


def controls_of(
    case: Case, model: nn.Module, treated: Sequence[nn.Module] = ()
) -> tuple[dict[str, Case], tuple[str, ...]]:
    """Return the controls of a case by name, and in words those that could not be built.

    Factories in `case.controls` come first and replace built-in ones of the same name.

    Args:
        case: of the reference.
        model: the reference's network.
        treated: the networks that it is compared with.
    """
    found = {name: case.replace(model=factory) for name, factory in case.controls.items()}
    missing: list[str] = []
    builders: dict[str, Callable[[Case, nn.Module], Case]] = {
        "better start": _better_start,
        "normalised": _normalised,
        "same size": partial(_same_size, size=max(map(_size, treated), default=0)),
        "shallow": _shallow,
        "linear": _linear,
    }
    if not treated or _size(model) >= _SAME * max(map(_size, treated)):
        del builders["same size"]  # the reference is its own control
    for name, builder in builders.items():
        if name in found:
            continue
        try:
            found[name] = builder(case, model)
        except SkipwayError as error:
            missing.append(f"No {name} control: {error}")
    order = [*(name for name in found if name not in builders), *builders]
    return {name: found[name] for name in order if name in found}, tuple(missing)


def _normalised(case: Case, model: nn.Module) -> Case:
    factory = Normalised(case.model, _inputs(case))
    with torch.random.fork_rng(devices=[]):
        factory()  # a network that has norms already says so here
    return case.replace(model=factory)


def _same_size(case: Case, model: nn.Module, size: int) -> Case:
    inputs = _inputs(case)
    factory = Widened(case.model, inputs, factor_for(model, inputs, size))
    with torch.random.fork_rng(devices=[]):
        factory()
    return case.replace(model=factory)


def _inputs(case: Case) -> Any:
    if case.objective is not None:
        raise CaseError("the case has an objective, so what goes into the network is unknown.")
    return split(case.replace(batch_size=2).batch())[0]


def _size(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _better_start(case: Case, model: nn.Module) -> Case:
    treated = better_start(case)
    with torch.random.fork_rng(devices=[]):
        treated.model()  # a model without a layer to start anew says so here
    return treated


def _linear(case: Case, model: nn.Module) -> Case:
    shape, outputs, dtype = _probe(case, model)
    return case.replace(model=Linear(_product(shape), outputs, dtype))


def _shallow(case: Case, model: nn.Module) -> Case:
    shape, outputs, dtype = _probe(case, model)
    return case.replace(model=Shallow(shape, outputs, _width(model), dtype))


def _probe(case: Case, model: nn.Module) -> tuple[tuple[int, ...], tuple[int, ...], torch.dtype]:
    """Return the shapes of one sample and of its output, and the input's type.

    Raises:
        CaseError: they are of a kind that has no obvious simple model.
    """
    if case.objective is not None:
        raise CaseError("the case has an objective, so what goes in and out is unknown.")
    inputs = split(take(case.train, torch.arange(2)))[0]
    if not isinstance(inputs, Tensor) or not inputs.is_floating_point():
        kind = f"{inputs.dtype} numbers" if isinstance(inputs, Tensor) else type(inputs).__name__
        raise CaseError(f"the inputs are {kind}, not one tensor of floating numbers.")
    modes = [(module, module.training) for module in model.modules()]
    with torch.no_grad():
        output = model.eval()(inputs)
    for module, mode in modes:
        module.training = mode
    if not isinstance(output, Tensor) or output.dim() > 2 or len(output) != len(inputs):
        kind = f"has shape {list(output.shape)}" if isinstance(output, Tensor) else "is no tensor"
        raise CaseError(f"the output {kind}; it is built for one row of numbers a sample only.")
    return tuple(inputs.shape[1:]), tuple(output.shape[1:]), inputs.dtype


def _width(model: nn.Module) -> int:
    """Return the most common width of the hidden layers."""
    shapes = [each.shape[0] for each in model.parameters() if each.dim() >= 2]
    return Counter(shapes[:-1] or shapes or [64]).most_common(1)[0][0]


def _product(shape: tuple[int, ...]) -> int:
    return torch.Size(shape).numel()
