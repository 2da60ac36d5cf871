"""Parts of a model that a pass does not show: compiled by torch.jit, or never called."""

from __future__ import annotations

import torch
from torch import nn

from .._trace._probe import Probe
from ._words import listed


def unread(model: nn.Module, seen: Probe) -> list[str]:
    """Return a note for each kind of such parts."""
    notes = []
    if hidden := _scripted(model):
        notes.append(
            f"{listed(hidden)}: compiled by torch.jit, so the layers in there are not looked at "
            "one by one. The module that it was made from has them all."
        )
    if unused := _never_called(model, seen):
        notes.append(
            f"{listed(unused)}: never called and without a gradient, so no step has a use for what "
            "is in there."
        )
    return notes


def _scripted(model: nn.Module) -> list[str]:
    """Return the modules whose layers torch.jit hides, the outermost of them."""
    found: list[str] = []
    for name, module in model.named_modules():
        inside = any(name.startswith(f"{each}.") for each in found)
        if isinstance(module, torch.jit.ScriptModule) and not inside and list(module.parameters()):
            found.append(name)
    return found


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
