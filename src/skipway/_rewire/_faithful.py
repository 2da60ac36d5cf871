"""Whether a forward written anew does what the user's own does: run both and compare."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .._case import call
from .._trace import record, untouched
from ._classes import rewired_class


def is_faithful(
    model: nn.Module,
    inputs: Any,
    scope: str,
    base: type[nn.Module],
    source: str,
    inlined: frozenset[str] = frozenset(),
) -> bool:
    """Tell whether the module at `scope` with the forward in `source` is the same network.

    In training and in evaluation it has to make the same calls on the same shapes and types, let
    the same of them carry a gradient, and put out the same numbers. A call that a module in
    `inlined` made is one of the scope now.
    """

    def run(network: nn.Module) -> tuple[list[Any], Any]:
        return _run(network, inputs, scope, inlined)

    return all(_same_in(mode, model, run, scope, base, source) for mode in (True, False))


def _same_in(
    mode: bool,
    model: nn.Module,
    run: Callable[[nn.Module], tuple[list[Any], Any]],
    scope: str,
    base: type[nn.Module],
    source: str,
) -> bool:
    original, twin = copy.deepcopy(model).train(mode), copy.deepcopy(model).train(mode)
    with untouched(model):  # for the random generators
        try:
            expected = run(original)
        except Exception:  # a batch of one under batch norm: this mode says nothing
            return True
    with untouched(model):
        try:
            twin.get_submodule(scope).__class__ = rewired_class(base, source)
            found = run(twin)
        except Exception:  # a class that lets no other be derived, a forward that goes wrong
            return False
    return expected[0] == found[0] and _equal(expected[1], found[1])


def _run(
    model: nn.Module, inputs: Any, scope: str, inlined: frozenset[str]
) -> tuple[list[Any], Any]:
    torch.manual_seed(0)
    graph, output = record(model, lambda: call(model, inputs))
    calls = [
        (node.op, scope if node.module in inlined else node.module, node.call, node.shape,
         node.dtype, node.differentiable)
        for node in graph.nodes
    ]  # fmt: skip
    return calls, output


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor):
        return isinstance(b, Tensor) and torch.allclose(a, b, rtol=1e-4, atol=1e-6, equal_nan=True)
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(_equal(a[k], b[k]) for k in a)
    if isinstance(a, (tuple, list)):
        return type(a) is type(b) and len(a) == len(b) and all(map(_equal, a, b))
    return type(a) is type(b)
