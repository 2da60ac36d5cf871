"""The way back: every parameter's gradient, and where the way is cut."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .._errors import LossError, ModelError
from ._graph import Graph, Node


def differentiate(model: nn.Module, loss: Tensor) -> dict[str, Tensor | None]:
    """Return the gradient of every parameter by name, `None` where the loss does not reach it."""
    named = dict(model.named_parameters())
    wanted = {name: each for name, each in named.items() if each.requires_grad}
    found: dict[str, Tensor | None] = dict.fromkeys(named)
    if not loss.requires_grad or not wanted:
        return found
    try:
        gradients = torch.autograd.grad(loss, list(wanted.values()), allow_unused=True)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0]
        if "checkpoint" in str(error).lower():
            raise ModelError(
                "The model uses torch.utils.checkpoint in its reentrant form, whose gradients "
                "cannot be read layer by layer. Give checkpoint(..., use_reentrant=False).",
                page="training-setups#activation-checkpointing",
            ) from error
        raise LossError(
            f"The loss cannot be differentiated: {reason} Check that loss.backward() works."
        ) from error
    found.update(zip(wanted, gradients, strict=True))
    return found


def cut_of(graph: Graph, model: nn.Module) -> int | None:
    """Return the first node that carries no gradient though it was computed with weights."""
    trainable = {
        name for name, p in model.named_parameters(remove_duplicate=False) if p.requires_grad
    }
    carried: set[int] = set()
    for node in graph.nodes:
        if node.differentiable:
            carried.add(node.index)
        elif (carried & set(node.inputs) or trainable & set(node.parameters)) and _real(node):
            return node.index
    return None


def _real(node: Node) -> bool:
    # Integers (an argmax, a mask, an index) never carry a gradient; that they do not is no cut.
    return node.dtype.startswith(("float", "bfloat", "complex")) and bool(node.shape)
