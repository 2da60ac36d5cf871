"""The reference with a norm behind every hidden layer: would normalisation alone have done it?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from .._errors import CaseError, SkipwayError
from .._trace import observe

CONVOLUTIONS: dict[type[nn.Module], type[nn.Module]] = {
    nn.Conv1d: nn.BatchNorm1d,
    nn.Conv2d: nn.BatchNorm2d,
    nn.Conv3d: nn.BatchNorm3d,
}
NORMS = (
    nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm, nn.LayerNorm,
    nn.GroupNorm, nn.RMSNorm, nn.LocalResponseNorm,
)  # fmt: skip


@dataclass(frozen=True)
class Normalised:
    """A factory: the model with a norm behind every weight layer but the last.

    Batch norm behind a convolution, layer norm behind a linear layer.
    """

    model: Callable[[], nn.Module]
    inputs: Any

    def __call__(self) -> nn.Module:
        """Build it.

        Raises:
            CaseError: it has norms already, or no layer to put one behind.
        """
        model = self.model()
        if any(isinstance(module, NORMS) for module in model.modules()):
            raise CaseError("the network is normalised already.")
        for name in weight_layers(model, self.inputs)[:-1]:
            layer = model.get_submodule(name)
            put(model, name, nn.Sequential(layer, _norm_behind(layer)))
        return checked(model, self.inputs, "with norms")


def weight_layers(model: nn.Module, inputs: Any) -> list[str]:
    """Return the Linear and convolution modules by name, in execution order.

    Raises:
        CaseError: there are fewer than two, or one is used twice.
    """
    with torch.no_grad():
        units = observe(model, inputs).units
    found: list[str] = []
    for unit in units:
        if isinstance(model.get_submodule(unit.module), (nn.Linear, *CONVOLUTIONS)):
            if unit.shared:
                raise CaseError(f"`{unit.module}` is called more than once.")
            found.append(unit.module)
    if len(found) < 2 or "" in found:
        raise CaseError("it has no hidden Linear or convolution module.")
    return found


def put(model: nn.Module, name: str, module: nn.Module) -> None:
    """Put `module` where the submodule `name` is."""
    parent, _, child = name.rpartition(".")
    model.get_submodule(parent)._modules[child] = module


def checked(model: nn.Module, inputs: Any, how: str) -> nn.Module:
    """Return the model if it runs.

    Raises:
        CaseError: it does not.
    """
    try:
        observe(model, inputs)
    except SkipwayError as error:
        raise CaseError(f"the network does not run {how}: {error}") from error
    return model


def _norm_behind(layer: Any) -> nn.Module:
    weight = layer.weight
    kind = next((norm for each, norm in CONVOLUTIONS.items() if isinstance(layer, each)), None)
    made = nn.LayerNorm if kind is None else kind
    return made(weight.shape[0], device=weight.device, dtype=weight.dtype)
