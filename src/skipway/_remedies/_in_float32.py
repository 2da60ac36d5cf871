"""`in_float32`: updates are lost to the rounding of a narrower type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from .._case import Case, split
from .._errors import CaseError, ModelError
from .._trace import observe


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


def _floating(part: Any) -> Any:
    if isinstance(part, Tensor):
        return part.to(torch.float32) if part.is_floating_point() else part
    if isinstance(part, Mapping):
        return {key: _floating(value) for key, value in part.items()}
    if isinstance(part, (tuple, list)):
        return tuple(_floating(value) for value in part)
    return part
