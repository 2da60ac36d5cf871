"""How alike the gradients at neighbouring inputs are, layer by layer.

In a plain network they have less and less to do with each other the further they come back, until
they look like white noise: the gradient shatters (Balduzzi et al. 2017, 1702.08591). Skips keep
them alike.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ._graph import Graph
from ._numbers_at import Numbers, wide
from ._observe import record

_SEED = 170_208_591
NEAR = 0.1  # how far a neighbour lies, in distances of a sample from the mean of its batch


def correlations(
    model: nn.Module, run: Callable[[], Tensor], restart: Callable[[], None]
) -> dict[str, float] | None:
    """Return for each layer the correlation of `dL/dh` at the inputs and at their neighbours.

    It is the cosine of the two for each sample, averaged over the batch. A neighbour is the
    sample plus normal noise of a tenth of its distance from the mean of the batch; the same
    random numbers are drawn in both passes.

    Args:
        model: that `run` calls.
        run: returns the loss.
        restart: brings the random generators to where a pass begins.

    Returns:
        By the name of the layer; `None` where no input is made of real numbers.
    """
    restart()
    here = _Gradients()
    graph = here.follow(model, run)
    restart()
    there = _Gradients(here.found)
    near = _Neighbour()
    with near.at(model):
        there.follow(model, run)
    if not near.moved:
        return None
    read = there.numbers.resolve().get("alike", {})
    return {unit.name: read[unit.node] for unit in graph.units if unit.node in read}


class _Gradients:
    """Keeps the gradient at every layer, or compares it with that of a pass before."""

    def __init__(self, before: dict[int, Tensor] | None = None) -> None:
        self.before = before
        self.found: dict[int, Tensor] = {}
        self.numbers = Numbers()
        self.handles: list[RemovableHandle] = []
        self.wanted: set[int] = set()

    def follow(self, model: nn.Module, run: Callable[[], Tensor]) -> Graph:
        try:
            with torch.inference_mode(False), torch.enable_grad():
                graph, loss = record(model, run, visit=self._visit)
                self.wanted = {unit.node for unit in graph.units}
                leaves = [p for p in model.parameters() if p.requires_grad]
                torch.autograd.grad(loss, leaves, allow_unused=True)
        finally:
            for handle in self.handles:
                handle.remove()
        return graph

    def _visit(
        self, index: int, op: str, tensor: Tensor, module: str, arguments: tuple[Any, ...]
    ) -> None:
        if tensor.requires_grad and tensor.dim() > 1:
            hook = self._hook(index)
            self.handles.append(tensor.register_hook(hook))  # type: ignore[no-untyped-call]

    def _hook(self, index: int) -> Callable[[Tensor], None]:
        def arrive(gradient: Tensor) -> None:
            if index not in self.wanted:
                return
            if self.before is None:
                self.found[index] = gradient.detach()
            elif index in self.before and self.before[index].shape == gradient.shape:
                self.numbers.put("alike", index, _alike(self.before.pop(index), gradient.detach()))

        return arrive


def _alike(a: Tensor, b: Tensor) -> Tensor:
    """Return the mean over the samples of the cosine between two gradients."""
    a, b = (each.to(wide(each)).flatten(1) for each in (a, b))
    norms = a.norm(dim=1) * b.norm(dim=1)
    cosine = (a * b).sum(1) / norms
    known = norms > 0
    mean: Tensor = torch.where(known, cosine, 0.0).sum() / known.sum().clamp_min(1)
    return mean


class _Neighbour:
    """Moves the inputs of a model a little."""

    def __init__(self) -> None:
        self.moved = False

    def at(self, model: nn.Module) -> RemovableHandle:
        def enter(_: nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any]:
            with torch._C.DisableTorchFunction():
                return self._nearby(args), self._nearby(kwargs)

        return model.register_forward_pre_hook(enter, with_kwargs=True, prepend=True)

    def _nearby(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return self._beside(value) if value.is_floating_point() and value.dim() > 1 else value
        if type(value) in (tuple, list):
            return type(value)(self._nearby(each) for each in value)
        if isinstance(value, dict):
            return {key: self._nearby(each) for key, each in value.items()}
        return value

    def _beside(self, tensor: Tensor) -> Tensor:
        self.moved = True
        rows = tensor.detach().flatten(1)
        # A seed of its own: data made by the same one would be moved along itself.
        generator = torch.Generator(tensor.device).manual_seed(_SEED)
        noise = torch.randn(rows.shape, generator=generator, device=tensor.device)
        noise = noise.to(tensor.dtype) / noise.norm(dim=1, keepdim=True).to(tensor.dtype)
        distance = (rows - rows.mean(0)).norm(dim=1, keepdim=True)
        moved: Tensor = tensor + (NEAR * distance * noise).view_as(tensor)
        return moved
