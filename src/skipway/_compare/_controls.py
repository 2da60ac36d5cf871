"""The networks that always run beside: without them a gain may be a gain over nothing.

- `linear`: no hidden layer at all. Where it does as well, depth was never needed.
- `shallow`: one hidden layer, or two convolutions. The same question, one step further.
- `better start`: the given network, initialised as well as is known. Where it does as well, no
  skip connection was needed.
- `normalised`: the given network with a norm behind every hidden layer. The same question.
- `same size`: the given network made as wide as it takes to have as many parameters as the
  largest treated one. Where it does as well, it was the parameters.
- `same compute`: the given network made as wide as it takes to cost as much arithmetic as the
  dearest treated one. Where it does as well, it was the arithmetic.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from .._case import Case, call, split, take
from .._errors import CaseError, SkipwayError
from .._remedies import better_start
from ._normalised import Normalised
from ._widened import Widened, factor_for, factor_for_work

# Within a tenth of the parameters or the arithmetic, the reference is the twin itself.
_SAME = 0.9
DETAILS = {
    "better start": "the plain network, its weights started as well as is known",
    "normalised": "the plain network, a norm behind every hidden layer",
    "same size": "the plain network, as many parameters as the largest treated one",
    "same compute": "the plain network, as much arithmetic as the dearest treated one",
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
    builders: dict[str, Callable[[Case, nn.Module], Case | None]] = {
        "better start": _better_start,
        "normalised": _normalised,
        "same size": partial(_same_size, treated=treated),
        "same compute": partial(_same_compute, treated=treated),
        "shallow": _shallow,
        "linear": _linear,
    }
    for name, builder in builders.items():
        if name in found:
            continue
        try:
            made = builder(case, model)
        except SkipwayError as error:
            missing.append(f"No {name} control: {error}")
        else:
            found |= {} if made is None else {name: made}
    order = [*(name for name in found if name not in builders), *builders]
    return {name: found[name] for name in order if name in found}, tuple(missing)


def _normalised(case: Case, model: nn.Module) -> Case:
    factory = Normalised(case.model, _inputs(case))
    with torch.random.fork_rng(devices=[]):
        factory()  # a network that has norms already says so here
    return case.replace(model=factory)


def _same_size(case: Case, model: nn.Module, treated: Sequence[nn.Module]) -> Case | None:
    size = max(map(_size, treated), default=0)
    if _size(model) >= _SAME * size:
        return None  # the reference is its own control
    return _widened(case, factor_for(model, _inputs(case), size))


def _same_compute(case: Case, model: nn.Module, treated: Sequence[nn.Module]) -> Case | None:
    if not treated or case.objective is not None:
        return None  # of an objective's model the inputs are unknown, and its arithmetic with them
    inputs = _inputs(case)
    own, *others = (_arithmetic(each, inputs) for each in (model, *treated))
    if own >= _SAME * max(others):
        return None
    factor = factor_for_work(model, inputs, max(others) / own)
    size = max(map(_size, treated))
    if _size(model) < _SAME * size and factor < factor_for(model, inputs, size) / _SAME**0.5:
        return None  # the twin of the same size costs as much already
    return _widened(case, factor)


def _widened(case: Case, factor: float) -> Case:
    factory = Widened(case.model, _inputs(case), factor)
    with torch.random.fork_rng(devices=[]):
        factory()
    return case.replace(model=factory)


def _arithmetic(model: nn.Module, inputs: Any) -> int:
    """Return the operations of all products in a forward.

    Raises:
        CaseError: they cannot be counted.
    """
    modes = [(module, module.training) for module in model.modules()]
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            call(model.eval(), inputs)
    except Exception as error:  # whatever a network does under a counter
        raise CaseError(f"its arithmetic cannot be counted ({type(error).__name__}).") from error
    finally:
        for module, mode in modes:
            module.training = mode
    if not (found := int(counter.get_total_flops())):
        raise CaseError("no product in it can be counted.")
    return found


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
