"""Whether forwards written anew do what the user's own do: run both and compare."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ..._case import call
from ..._trace import record, untouched
from .._alike import alike
from ._classes import rewired_class


@dataclass(frozen=True)
class Written:
    """The forward of one module, written anew.

    Attributes:
        path: of the module.
        base: its class.
        source: of the class with the new forward.
        inlined: paths of modules whose forward was written into it.
    """

    path: str
    base: type[nn.Module]
    source: str
    inlined: frozenset[str] = frozenset()


def unfaithful(model: nn.Module, inputs: Any, written: Sequence[Written]) -> set[str]:
    """Return the paths of those with which the network is not the same.

    In training and in evaluation it has to make the same calls on the same shapes and types, let
    the same of them carry a gradient, and put out the same numbers. All are tried together first:
    a network of many blocks would run many times else.
    """
    scratch = copy_without_weights(model)
    if _same(scratch, inputs, written):
        return set()
    if len(written) == 1:
        return {written[0].path}
    return {each.path for each in written if not _same(scratch, inputs, [each])}


def copy_without_weights(model: nn.Module) -> nn.Module:
    """Return a copy that shares its parameters with the model, and nothing else."""
    return copy.deepcopy(model, {id(parameter): parameter for parameter in model.parameters()})


def _same(scratch: nn.Module, inputs: Any, written: Sequence[Written]) -> bool:
    into = {path: each.path for each in written for path in each.inlined}
    return all(_same_in(mode, scratch, inputs, written, into) for mode in (True, False))


def _same_in(
    mode: bool,
    scratch: nn.Module,
    inputs: Any,
    written: Sequence[Written],
    into: Mapping[str, str],
) -> bool:
    try:
        expected = _run(mode, scratch, inputs, into)
    except Exception:  # a batch of one under batch norm: this mode says nothing
        return True
    try:
        with _as_written(scratch, written):
            found = _run(mode, scratch, inputs, into)
    except Exception:  # a class that lets no other be derived, a forward that goes wrong
        return False
    return expected[0] == found[0] and alike(expected[1], found[1], atol=1e-6)


@contextmanager
def _as_written(scratch: nn.Module, written: Sequence[Written]) -> Iterator[None]:
    modules = [(scratch.get_submodule(each.path), each) for each in written]
    before = [(module, type(module)) for module, _ in modules]
    try:
        for module, each in modules:
            module.__class__ = rewired_class(each.base, each.source)
        yield
    finally:
        for module, kind in before:
            module.__class__ = kind


def _run(
    mode: bool, model: nn.Module, inputs: Any, into: Mapping[str, str]
) -> tuple[list[Any], Any]:
    with untouched(model):
        model.train(mode)
        torch.manual_seed(0)
        graph, output = record(model, lambda: call(model, inputs))
    calls = [
        (node.op, into.get(node.module, node.module), node.call, node.shape, node.dtype,
         node.differentiable)
        for node in graph.nodes
    ]  # fmt: skip
    return calls, output
