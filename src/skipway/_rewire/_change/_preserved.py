"""Whether a network with closed skips still computes what it did, bit for bit."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..._case import call
from ..._errors import RewireError
from ..._trace import untouched


def check_preserved(model: nn.Module, rewired: nn.Module, inputs: Any) -> None:
    """Run both and compare every output.

    Raises:
        RewireError: they differ: a tapped tensor holds what zero times it does not make zero of.
    """
    if not _identical(_output(model, inputs), _output(rewired, inputs)):
        raise RewireError(
            "With its skips closed the network does not compute what it did: a tensor that is "
            "tapped holds NaN or infinite numbers, and zero times these is not zero. Leave the "
            "skips that start there out of the plan.",
            page="rewire#a-network-that-is-trained-already",
        )


def _output(model: nn.Module, inputs: Any) -> Any:
    with untouched(model), torch.no_grad():
        torch.manual_seed(0)
        return call(model, inputs)


def _identical(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor):
        if not isinstance(b, Tensor) or a.shape != b.shape:
            return False
        return torch.equal(a, b) or bool(((a == b) | ((a != a) & (b != b))).all())
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(_identical(a[k], b[k]) for k in a)
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(map(_identical, a, b))
    return True
