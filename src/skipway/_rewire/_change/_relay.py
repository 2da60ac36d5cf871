"""`Relay`: a skip carried by two hooks, where a forward cannot be written anew."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ..._case import call
from ..._errors import RewireError
from ..._trace import untouched


class Relay(nn.Module):
    """Keep the output of one module, join it to the output of another.

    The hooks are bound methods and the state is the module's own, so a copy of the network
    carries its own tensors, and it pickles. Nothing is kept after the join.

    Args:
        source: path of the module whose output is kept, for messages.
        destination: path of the module whose output it joins.
        shortcut: what the kept tensor goes through.
        gate: what it goes through then.
        fuse: joins by concatenation; without it the two are added.
        scale: of the destination's output in a sum.
        clone: keep a copy, because something overwrites the tensor before it joins.
        items: the places of both tensors in what the modules return, where that is a tuple.
    """

    def __init__(
        self,
        source: str,
        destination: str,
        *,
        shortcut: nn.Module | None = None,
        gate: nn.Module | None = None,
        fuse: nn.Module | None = None,
        scale: float = 1.0,
        clone: bool = False,
        items: tuple[int | None, int | None] = (None, None),
    ) -> None:
        super().__init__()
        self.source, self.destination = source, destination
        self.shortcut, self.gate, self.fuse = shortcut, gate, fuse
        self.scale, self.clone, self.items = scale, clone, items
        self.carried: Tensor | None = None
        self.handles: list[Any] = []

    def attach(self, source: nn.Module, destination: nn.Module, *, before: bool = False) -> None:
        """Start to carry what `source` puts out, or what it gets, to `destination`."""
        # The handles are kept: unpickled in another process, they see to it that the ids of
        # later hooks do not collide with these.
        self.handles = [
            source.register_forward_pre_hook(self.keep_input)
            if before
            else source.register_forward_hook(self.keep),
            destination.register_forward_hook(self.join),
        ]

    def keep(self, module: nn.Module, args: Any, output: Any) -> None:
        """Keep the output of the source."""
        tensor: Tensor = output if self.items[0] is None else output[self.items[0]]
        self.carried = tensor.clone() if self.clone else tensor

    def keep_input(self, module: nn.Module, args: Any) -> None:
        """Keep what the source gets."""
        self.carried = args[0].clone() if self.clone else args[0]

    def join(self, module: nn.Module, args: Any, output: Any) -> Any:
        """Join what was kept to the output of the destination."""
        kept, self.carried = self.carried, None
        if kept is None:
            raise _nothing_to_carry(self.source, self.destination)
        item = self.items[1]
        if item is None:
            return self(kept, output)
        return type(output)((*output[:item], self(kept, output[item]), *output[item + 1 :]))

    def forward(self, skip: Tensor, x: Tensor) -> Tensor:
        """Return the skipped tensor and `x`, joined."""
        skip = skip if self.shortcut is None else self.shortcut(skip)
        if self.fuse is not None:
            fused: Tensor = self.fuse(skip, x)
            return fused
        skip = skip if self.gate is None else self.gate(skip)
        return skip + (x if self.scale == 1 else self.scale * x)

    def unhook(self) -> None:
        """Stop carrying."""
        for handle in self.handles:
            handle.remove()

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "carried": None}


class DenseRelay(nn.Module):
    """Keep the outputs of several modules; each but the first becomes a mix of all so far.

    Args:
        paths: of the modules, in the order in which they run.
        fuses: what mixes, for each module but the first.
        clones: which outputs are copied, because something overwrites them later.
    """

    def __init__(
        self, paths: Sequence[str], fuses: Sequence[nn.Module], clones: Sequence[bool]
    ) -> None:
        super().__init__()
        self.paths, self.clones = tuple(paths), tuple(clones)
        self.fuses = nn.ModuleList(fuses)
        self.kept: list[Tensor] = []
        self.handles: list[Any] = []

    def attach(self, model: nn.Module) -> None:
        """Start to carry what the modules put out."""
        self.handles = [
            model.get_submodule(path).register_forward_hook(partial(self.read, number))
            for number, path in enumerate(self.paths)
        ]

    def read(self, number: int, module: nn.Module, args: Any, output: Tensor) -> Tensor | None:
        """Keep the output of the module with this number; return what all so far are mixed to."""
        if number == 0:
            self.kept = []
        if len(self.kept) != number:
            raise _nothing_to_carry(self.paths[len(self.kept)], self.paths[number])
        self.kept.append(output.clone() if self.clones[number] else output)
        if number == 0:
            return None
        features = self.kept
        if number == len(self.fuses):
            self.kept = []
        mixed: Tensor = self.fuses[number - 1](features)
        return mixed

    def unhook(self) -> None:
        """Stop carrying."""
        for handle in self.handles:
            handle.remove()

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "kept": []}


def _nothing_to_carry(source: str, destination: str) -> RewireError:
    return RewireError(
        f"The skip from `{source}` to `{destination}` has nothing to carry: `{destination}` ran "
        f"and `{source}` did not run before it. That happens when activation checkpointing "
        "recomputes only the second one (put both into one checkpoint), or when a branch of the "
        "forward leaves the first one out."
    )


class Relays(nn.ModuleList):
    """The relays of one module; among the steps of a Sequential it is one that does nothing."""

    def forward(self, x: Any) -> Any:
        """Return `x`."""
        return x


def check_relays(model: nn.Module, rewired: nn.Module, inputs: Any) -> None:
    """Run backward once where hooks carry skips: a checkpoint that loses one shows only there.

    Raises:
        RewireError: a skip has nothing to carry when its destination is computed again, or the
            rewired network cannot be differentiated and the plain one can.
    """
    if not any(isinstance(module, (Relay, DenseRelay)) for module in rewired.modules()):
        return
    try:
        _run_backward(rewired, inputs)
    except RewireError:
        raise
    except Exception as error:  # whatever the network's own parts raise in the backward pass
        try:
            _run_backward(model, inputs)
        except Exception:  # it never could: two activations in place, one after the other
            return
        raise RewireError(
            f"With its skips the network cannot be differentiated ({type(error).__name__}: "
            f"{error}). Leave the skips at that place out of the plan, or write them by hand."
        ) from error


def _run_backward(model: nn.Module, inputs: Any) -> None:
    with untouched(model), torch.enable_grad():
        outputs = [each for each in _tensors(call(model, inputs)) if each.requires_grad]
        if outputs:
            torch.autograd.backward(outputs, [torch.ones_like(each) for each in outputs])


def _tensors(output: Any) -> list[Tensor]:
    if isinstance(output, dict):
        output = list(output.values())
    if isinstance(output, (tuple, list)):
        return [tensor for each in output for tensor in _tensors(each)]
    return [output] if isinstance(output, Tensor) else []
