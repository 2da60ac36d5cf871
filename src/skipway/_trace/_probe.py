"""One forward and one backward pass, measured: what every layer puts out and gets back.

Norms are Euclidean, in float64, and stay on the device until one transfer at the end. Gradients
are read by hooks that are set right after each call, so what a later in-place operation does to
the tensor does not matter, and `.grad` is never touched.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ._alter import Alteration
from ._backward import cut_of, differentiate
from ._calls import tensors
from ._chains import reaches
from ._crossing import activation_of, crossings, joins, pieces_of, tap_of
from ._flat import saturated_share, silent_share
from ._graph import Graph, Unit
from ._numbers_at import ALL_ZERO, Numbers, norm, signal_share
from ._observe import record
from ._skips import read_joints
from ._unregistered import reached_of, unregistered

# Memory that was not written yet: what stands in it is no value of the model.
_UNWRITTEN = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"}


@dataclass(frozen=True)
class UnitProbe:
    """The raw numbers of one weight layer; norms are absolute, shares lie between 0 and 1.

    Attributes:
        output: `||h||` of its own output.
        gradient: `||dL/dh||`; 0.0 where no gradient arrives.
        alive: root of the sum of squares of `||dL/dt|| * ||t||` over its own output and the
            tensors that go around it.
        rms: root mean square of its output.
        signal: of its output, see `LayerReading`.
        input_signal: the same of what it reads.
        silent: see `LayerReading`.
        saturated: see `LayerReading`.
        via_skip: see `LayerReading`.
        via_branch: see `LayerReading`.
        reached: whether a gradient arrived, be it zero.
        with_skip: `alive` if a skip led from its output to that of `skip_to`.
        skip_to: the last layer of the same shape that it is in series with.
        around: see `LayerReading`.
        spread: see `LayerReading`.
        reads_nothing: what it reads is zero for every sample.
    """

    output: float
    gradient: float
    alive: float
    rms: float
    reached: bool
    signal: float | None = None
    input_signal: float | None = None
    silent: float | None = None
    saturated: float | None = None
    via_skip: float | None = None
    via_branch: float | None = None
    with_skip: float | None = None
    skip_to: str | None = None
    around: float | None = None
    spread: float | None = None
    reads_nothing: bool = False


@dataclass(frozen=True)
class Probe:
    """What one measured pass found.

    Attributes:
        graph: of the pass.
        loss: its value.
        connected: whether the loss carries a gradient at all.
        gradients: by name of the parameter (the first name of a shared one); `None` where the
            loss does not reach it.
        units: by name of the unit.
        non_finite: index of the first node whose output is not finite.
        cut: index of the first node that carries no gradient though it was computed with
            trainable weights.
        outputs_at: `||h||` by node.
        gradients_at: `||dL/dh||` of layers, skipped tensors and joins by node.
        outside: name, identity and size of weights that get a gradient and that the model does
            not know of.
    """

    graph: Graph
    loss: float
    connected: bool
    gradients: dict[str, Tensor | None]
    units: dict[str, UnitProbe]
    non_finite: int | None
    cut: int | None
    outputs_at: dict[int, float]
    gradients_at: dict[int, float]
    outside: tuple[tuple[str, int, int], ...] = ()


def probe(
    model: nn.Module,
    run: Callable[[], Tensor],
    batch: int,
    alter: Alteration | None = None,
    *,
    kept: bool = False,
) -> Probe:
    """Run `run`, which calls the model once and returns the loss, and measure both directions.

    The model's state is the caller's to protect (`untouched`).

    Args:
        model: the module that `run` calls.
        run: a function without arguments.
        batch: how many samples; tensors of another length in front have no `signal`.
        alter: changes the ways of the gradient.
        kept: see `record`.

    Raises:
        ModelError: the model raises in forward or cannot be differentiated.
        LossError: the backward pass fails.
    """
    watcher = _Watcher(batch)
    try:
        with torch.inference_mode(False), torch.enable_grad():
            graph, loss = record(model, run, visit=watcher.visit, alter=alter, kept=kept)
            outside = reached_of(loss, unregistered(model))
            watcher.prepare(graph)
            gradients = differentiate(model, loss)
    finally:
        watcher.release()
    watcher.numbers.put("loss", -1, loss.detach().to(norm(loss).dtype))
    seen = watcher.result(graph, loss.requires_grad, gradients, cut_of(graph, model))
    return replace(seen, outside=outside)


class _Watcher:
    """Collects numbers while the model runs forward and backward."""

    def __init__(self, batch: int) -> None:
        self.batch = batch
        self.numbers = Numbers()
        self.handles: list[RemovableHandle] = []
        self.graph: Graph | None = None
        self.wanted: set[int] = set()
        self.beside: dict[int, tuple[int, ...]] = {}
        self.joins: dict[int, list[int]] = {}
        self.reaches: dict[int, int] = {}
        self.kept: dict[int, Tensor | None] = {}
        self.pieces: dict[int, Tensor] = {}
        self.channel = -1
        self.sizes: dict[int, int] = {}

    def visit(
        self, index: int, op: str, tensor: Tensor, module: str, arguments: tuple[Any, ...]
    ) -> None:
        known = tensor.is_floating_point() or tensor.is_complex()
        if not known or tensor.numel() == 0 or op in _UNWRITTEN:
            return
        with torch.no_grad():
            self._forward(index, op, tensor, arguments)
        if tensor.requires_grad:
            handle = tensor.register_hook(self._hook(index))  # type: ignore[no-untyped-call]
            self.handles.append(handle)

    def _forward(self, index: int, op: str, tensor: Tensor, arguments: tuple[Any, ...]) -> None:
        put = self.numbers.put
        put("norm", index, norm(tensor))
        self.sizes[index] = tensor.numel()
        if op.startswith(("conv", "linear", "addmm", "matmul", "bilinear", "einsum", "rmatmul")):
            self.channel = 1 if op.startswith("conv") else -1
            put("signal", index, signal_share(tensor, self.batch))
            read = [t for t in tensors(arguments) if not isinstance(t, nn.Parameter)]
            if read and (read[0].is_floating_point() or read[0].is_complex()):
                put("input_signal", index, signal_share(read[0], self.batch))
        if tensor.is_complex():
            return
        for name, share in (
            ("silent", silent_share(op, tensor, arguments, self.channel)),
            ("saturated", saturated_share(op, tensor, arguments)),
        ):
            if share is not None:
                put(name, index, share)

    def _hook(self, index: int) -> Callable[[Tensor], None]:
        def arrive(gradient: Tensor) -> None:
            # A graph that outlives this pass may run backward again, long after `release`.
            if self.graph is not None and index in self.wanted:
                self._backward(self.graph, index, gradient.detach())

        return arrive

    def prepare(self, graph: Graph) -> None:
        """Choose the nodes whose gradient will be asked for."""
        self.graph = graph
        self.beside, self.joins = crossings(graph), joins(graph)
        self.reaches = reaches(graph)
        self.kept = dict.fromkeys(self.reaches.values())
        self.wanted.update(unit.node for unit in graph.units)
        self.wanted.update(graph.outputs)
        for many in (self.beside, self.joins):
            for sources in many.values():
                self.wanted.update(sources)
        self.wanted.update(self.joins)
        self.wanted.update(joint.node for joint in read_joints(graph))

    def _backward(self, graph: Graph, index: int, gradient: Tensor) -> None:
        self.numbers.put("gradient", index, norm(gradient))
        if index in self.kept:
            self.kept[index] = gradient
        further = self.kept.get(self.reaches.get(index, -1))
        if further is not None:
            self.numbers.put("with_skip", index, norm(gradient + further))
        if index in self.pieces:
            piece = self.pieces.pop(index)
            self.numbers.put("via_skip", index, norm(piece))
            self.numbers.put("via_branch", index, norm(gradient - piece))
        for source, piece in pieces_of(
            graph, graph.nodes[index], self.joins.get(index, ()), gradient
        ):
            known = self.pieces.get(source)
            self.pieces[source] = piece if known is None else known + piece

    def release(self) -> None:
        """Remove every hook and let go of every tensor."""
        for handle in self.handles:
            handle.remove()
        self.handles.clear()
        self.pieces.clear()
        self.kept.clear()
        self.graph = None

    def result(
        self,
        graph: Graph,
        connected: bool,
        gradients: dict[str, Tensor | None],
        cut: int | None,
    ) -> Probe:
        read = self.numbers.resolve()
        # NaN compares as neither larger nor smaller, so this asks for what it is not.
        bad = (i for i, v in sorted(read.get("norm", {}).items()) if not v < float("inf"))
        return Probe(
            graph=graph,
            loss=read["loss"][-1],
            connected=connected,
            gradients=gradients,
            units={unit.name: self._unit(graph, unit, read) for unit in graph.units},
            non_finite=next(bad, None),
            cut=cut,
            outputs_at=read.get("norm", {}),
            gradients_at=read.get("gradient", {}),
        )

    def _unit(self, graph: Graph, unit: Unit, read: dict[str, dict[int, float]]) -> UnitProbe:
        outputs, gradients = read.get("norm", {}), read.get("gradient", {})
        skipped, node = read.get("via_skip", {}), unit.node
        around = []
        for source in self.beside[node]:
            whole = gradients.get(source, 0.0)
            used = graph.consumers[source][0] <= node
            arriving = skipped.get(source, whole) if used else whole
            around.append(arriving * outputs.get(source, 0.0))
        size, own = outputs.get(node, 0.0), gradients.get(node, 0.0)
        skip = read.get("with_skip", {}).get(node)
        alive = math.hypot(own * size, *around)
        activation = activation_of(graph, node)
        tap = tap_of(graph, unit, skipped)
        return UnitProbe(
            output=size,
            gradient=own,
            alive=alive,
            rms=size / max(self.sizes.get(node, 1), 1) ** 0.5,
            reached=node in gradients,
            signal=_known(read.get("signal", {}).get(node)),
            input_signal=_known(read.get("input_signal", {}).get(node)),
            silent=read.get("silent", {}).get(activation),
            saturated=read.get("saturated", {}).get(activation),
            via_skip=skipped.get(tap),
            via_branch=read.get("via_branch", {}).get(tap),
            with_skip=None if skip is None else math.hypot(skip * size, *around),
            around=(math.hypot(*around) / alive) ** 2 if around and alive else None,
            skip_to=None if skip is None else _name_at(graph, self.reaches[node]),
            reads_nothing=read.get("input_signal", {}).get(node) == ALL_ZERO,
        )


def _known(value: float | None) -> float | None:
    return None if value is None or value < 0 else value


def _name_at(graph: Graph, node: int) -> str | None:
    unit = graph.unit_at(node)
    return None if unit is None else unit.name
