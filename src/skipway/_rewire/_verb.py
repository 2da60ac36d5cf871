"""`rewire`: a new network with skip connections, and the code that says the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from .._case import call
from .._errors import RewireError, SkipwayError
from .._results import Diagnosis, Plan, Rewiring, Undo
from .._trace import Graph, collector_waits, observe, record, untouched
from ._change._added_skip import AddedSkip
from ._change._apply import Applied, apply
from ._change._dense_block import dense_blocks
from ._change._preserved import check_preserved
from ._change._relay import check_relays
from ._code._classes import base_of
from ._code._reading import Readings
from ._code._source import Page, whole
from ._stacked_rnn import is_inner, stacked_rnns
from ._where._placing import place
from ._where._plan import make_plan, with_gates, with_scale

_PAGE = "rewire#plan-is-data"  # of the docs

# A sum that makes the signal this many times larger than the plain network's overflows sooner or
# later: then the branches are scaled down.
_GROWTH = 10.0


def rewire(
    model: nn.Module,
    inputs: Any,
    *,
    how: Literal["add", "cat", "dense"] = "add",
    diagnosis: Diagnosis | None = None,
    plan: Plan | None = None,
    preserve: bool = False,
) -> Rewiring:
    """Give a network skip connections, around every two weight layers that follow each other.

    The model you give is not changed. The new one is of the same class, has every key of its
    state dict with its value, and copies, pickles, compiles and exports as before.

    Args:
        model: any module that runs eagerly.
        inputs: what its forward takes: a tensor, a tuple of positional or a dict of keyword
            arguments.
        how: `"add"` for `x = skip + x` (ResNet), `"cat"` to concatenate and mix back to the
            width; the mixing layer starts as the same sum. `"dense"` lets every second layer
            read all earlier ones (DenseNet), through a mixing layer that starts as that sum too.
        diagnosis: of this network; then only the layers that lose gradient get skips.
        plan: a plan made before, for this or for another instance; it may be edited.
        preserve: start with every skip closed, so that the outputs stay bit for bit what they
            are. For networks that are trained already: a second path that starts closed does not
            cure one whose gradient dies.

    Returns:
        The new network, the plan, and the source of every class that changed.

    Raises:
        RewireError: there is no place for a skip, or the plan does not fit; the message names
            the layer, the reason and what to do.
        ModelError: the model raises in forward.

    Example:
        >>> import torch
        >>> net = nn.Sequential(*(nn.Linear(8, 8) for _ in range(4)))
        >>> rewiring = rewire(net, torch.randn(2, 8))
        >>> print(rewiring.source())
        from torch import nn
        <BLANKLINE>
        <BLANKLINE>
        class Sequential(nn.Sequential):
            def forward(self, input):
                x = self[0](input)
        <BLANKLINE>
                skip = x
                x = self[1](x)
                x = self[2](x)
                x = skip + x
                return self[3](x)
        <BLANKLINE>
    """
    check(model, "rewire")
    _check_guides(diagnosis, plan)
    with collector_waits(), untouched(model):
        graph = observe(model, inputs)
        chosen = plan or make_plan(graph, how, diagnosis)
        if preserve:
            chosen = with_gates(chosen)
        applied = _applied(model, inputs, graph, chosen)
        largest = _largest(applied.model, inputs, graph)
        if plan is None and not preserve and largest > _GROWTH * _largest(model, inputs, graph):
            chosen = with_scale(chosen, round(1 / math.sqrt(len(chosen.skips)), 3))
            applied = _applied(model, inputs, graph, chosen, applied.readings)
        check_relays(model, applied.model, inputs)
        if preserve:
            check_preserved(model, applied.model, inputs)
    return rewiring_of(model, graph, chosen, applied.model, applied.pages, applied.undo)


def check(model: nn.Module, verb: str) -> None:
    """Refuse what is no model, or one that is compiled.

    Raises:
        RewireError: it is.
    """
    if not isinstance(model, nn.Module):
        raise RewireError(
            f"{verb} was given a {type(model).__name__}, not a torch.nn.Module; for a Case use "
            f"{verb}(case.model(), inputs)."
        )
    if hasattr(model, "_orig_mod"):
        raise RewireError(
            f"The model is compiled already. {verb.capitalize()} the model itself and compile the "
            f"result: torch.compile({verb}(net, inputs).model).",
            page="training-setups#torchcompile",
        )


def _check_guides(diagnosis: Diagnosis | None, plan: Plan | None) -> None:
    if plan is not None and not isinstance(plan, Plan):
        raise RewireError(
            f"plan is a {type(plan).__name__}, not a Plan: give rewiring.plan, or read a saved one "
            "with skipway.read(path).",
            page=_PAGE,
        )
    if plan is not None and plan.how == "reconnect":
        raise RewireError(
            "The plan gives skips that are there another rule; it is for skipway.reconnect(model, "
            "inputs, plan=plan). rewire adds skips.",
            page=_PAGE,
        )
    if diagnosis is not None and not isinstance(diagnosis, Diagnosis):
        raise RewireError(
            f"diagnosis is a {type(diagnosis).__name__}, not a Diagnosis: give what "
            "skipway.diagnose returned."
        )


def _applied(
    model: nn.Module, inputs: Any, graph: Graph, plan: Plan, readings: Readings | None = None
) -> Applied:
    if not plan.skips:
        raise RewireError(
            "The plan holds no skip; rewire without plan= to have one made.",
            page=_PAGE,
        )
    inner = [skip for skip in plan.skips if is_inner(skip)]
    dense = [skip for skip in plan.skips if skip.merge == "dense"]
    rest = [skip for skip in plan.skips if skip.merge != "dense" and not is_inner(skip)]
    changes = [*(AddedSkip(graph, place(graph, s)) for s in rest), *dense_blocks(graph, dense)]
    applied = apply(model, inputs, changes, readings)
    made = [stacked.rewire(applied.model) for stacked in stacked_rnns(graph, inner)]
    return replace(
        applied,
        pages=(*applied.pages, *((undo.path, page) for page, undo in made)),
        undo=(*applied.undo, *(undo for _, undo in made)),
    )


def _largest(model: nn.Module, inputs: Any, graph: Graph) -> float:
    """Return the largest root mean square that any tensor inside the network has."""
    sizes = [torch.zeros((), dtype=torch.float64)]

    def measure(
        index: int, op: str, tensor: Tensor, module: str, arguments: tuple[Any, ...]
    ) -> None:
        if tensor.is_floating_point() and tensor.numel():
            norm = torch.linalg.vector_norm(tensor.detach(), dtype=torch.float64)
            sizes.append((norm / math.sqrt(tensor.numel())).cpu())

    with untouched(model), torch.no_grad():
        try:
            record(model, lambda: call(model, inputs), visit=measure)
        except SkipwayError as error:
            names = ", ".join(f"`{unit.name}`" for unit in graph.units[:4])
            raise RewireError(
                f"With its skips the network ({names} ...) does not run: {error} Leave the skips "
                "at that place out of the plan, or write them by hand.",
                page=_PAGE,
            ) from error
    largest = torch.stack(sizes).nan_to_num(math.inf, math.inf).max()
    return float(largest)


def rewiring_of(
    model: nn.Module,
    graph: Graph,
    plan: Plan,
    result: nn.Module,
    pages: Sequence[tuple[str, Page]],
    undo: Sequence[Undo],
) -> Rewiring:
    """Return the result of a network that was rewired: `result`, from `model`."""
    code, added = whole(pages)
    before = sum(parameter.numel() for parameter in model.parameters())
    after = sum(parameter.numel() for parameter in result.parameters())
    return Rewiring(
        plan=plan,
        code=code,
        added=added,
        model_name=base_of(model).__name__,
        parameters=after,
        parameters_added=after - before,
        layers=tuple(unit.name for unit in graph.units),
        model=result,
        undo=tuple(undo),
    )
