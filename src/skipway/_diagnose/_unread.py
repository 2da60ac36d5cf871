"""Parts of a model that a pass does not show: it never calls them, or nobody sees how."""

from __future__ import annotations

from torch import nn

from .._trace._probe import Probe
from ._words import listed


def unread(model: nn.Module, seen: Probe) -> list[str]:
    """Return a note for each kind of such parts."""
    notes = []
    if hidden := _hidden(model, seen):
        notes.append(
            f"{listed(hidden)}: a gradient arrives, but what was computed there was not seen "
            "(torch.jit, vmap, an extension in C++), so it is in no row."
        )
    if unused := _never_called(model, seen):
        notes.append(
            f"{listed(unused)}: never called and without a gradient, so no step has a use for what "
            "is in there."
        )
    return notes


def _hidden(model: nn.Module, seen: Probe) -> list[str]:
    """Return the modules of weights that learn and that no call that was seen has read."""
    told = [node for node in seen.graph.nodes if node.op not in ("scripted", "unseen")]
    read = {name for node in told for name in node.parameters}
    weights = [
        name
        for name, parameter in model.named_parameters()
        if parameter.dim() >= 2 and name not in read and seen.gradients.get(name) is not None
    ]
    return list(dict.fromkeys(name.rpartition(".")[0] or name for name in weights))


def _never_called(model: nn.Module, seen: Probe) -> list[str]:
    """Return the modules with parameters that would learn and that nothing reads in this pass."""
    used = {node.module for node in seen.graph.nodes}
    used |= {name.rpartition(".")[0] for node in seen.graph.nodes for name in node.parameters}
    named = dict(model.named_parameters())
    reached = {id(named[name]) for name, each in seen.gradients.items() if each is not None}
    return [
        name
        for name, module in model.named_modules()
        if name not in used
        and (own := {id(p) for p in module.parameters(recurse=False) if p.requires_grad})
        and not own & reached
    ]
