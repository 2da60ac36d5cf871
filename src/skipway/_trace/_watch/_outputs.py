"""What the layers put out and get back while someone else's loop trains.

Hooks on modules count what passes only once its gradient arrives, and by call: so a forward pass
without a backward pass (validation) leaves nothing, accumulated micro-batches add up, and a
checkpointed part, whose forward runs again, counts once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ..._errors import ModelError
from .._calls import tensors
from .._numbers_at import norm, signal_share


@dataclass(frozen=True)
class Passed:
    """What passed through one layer in all passes of one step.

    Attributes:
        output: `||h||` of all its outputs.
        gradient: `||dL/dh||` of all of them, without the scale of AMP.
        signal: what differs between samples in what it reads, see `LayerReading`; `None` where it
            has no meaning.
    """

    output: float
    gradient: float
    signal: float | None


class Outputs:
    """Looks at the outputs of the layers while `looking`.

    Args:
        modules: by name of the layer.
        lasting: hooks stay in place between looks. A compiled model needs that: hooks that come
            after its first run never fire.
        parts: the layers of each part that is compiled by itself.
    """

    def __init__(
        self,
        modules: Mapping[str, nn.Module],
        *,
        lasting: bool,
        parts: Sequence[Sequence[str]] = (),
    ) -> None:
        self.modules = modules
        self.parts = parts
        self.order: list[str] = []
        self._known: set[str] = set()
        self.looking = False
        self.fired = False
        self.lasting = lasting
        self._handles: list[RemovableHandle] = []
        self._on_tensors: list[RemovableHandle] = []
        self._numbers: list[tuple[str, Tensor, Tensor, Tensor | None]] = []
        # A compiled model stops here and goes on behind it: what is looked at is not compiled.
        self.see: Callable[[str, Any, Any], None] = torch.compiler.disable(self.seen)  # type: ignore[no-untyped-call]
        if lasting:
            self._place()

    def _place(self) -> None:
        for name, module in self.modules.items():
            if not isinstance(module, torch.jit.ScriptModule):
                self._handles.append(module.register_forward_hook(_Leave(self, name)))

    def begin(self) -> None:
        """Look at every pass from here on."""
        self._numbers.clear()
        if not self._handles:
            self._place()
        self.looking = True

    @property
    def hooked(self) -> frozenset[str]:
        """The layers that would be seen to run; scripted ones take no hooks."""
        own = self.modules.items()
        return frozenset(n for n, each in own if not isinstance(each, torch.jit.ScriptModule))

    @property
    def placed(self) -> bool:
        """Whether hooks are in the model, apart from those that last."""
        return bool(self._handles) and not self.lasting

    def drop(self, most: int | None = None) -> None:
        """Forget the passes so far, or the first `most`: their gradients are not in this step."""
        del self._numbers[:most]

    def __len__(self) -> int:
        return len(self._numbers)

    def pause(self) -> None:
        """Count no further pass in this step."""
        self.looking = False

    def take(self, names: Container[str], scale: float) -> dict[str, Passed]:
        """Return what passed through these layers, and forget it.

        Args:
            names: of the layers that one optimizer moves.
            scale: that the gradients carry (of AMP).
        """
        found = [each for each in self._numbers if each[0] in names]
        self._numbers = [each for each in self._numbers if each[0] not in names]
        return _resolved(found, scale)

    def forget(self, names: Container[str]) -> None:
        """Forget what passed through these layers: the step was left out."""
        self._numbers = [each for each in self._numbers if each[0] not in names]

    def end(self) -> None:
        """Stop looking."""
        self.looking = False
        self._let_go()
        self._numbers.clear()
        if not self.lasting:
            self.remove()

    def check(self) -> None:
        """Raise ModelError where nothing was seen because the model is compiled.

        Raises:
            ModelError: as said.
        """
        part = next((each for each in self.parts if self._unseen(each)), None)
        if part is None and (self.fired or not (self.lasting or _compiled_anything())):
            return
        raise ModelError(
            f"No layer of {self._named(part)} was seen to run: it was compiled and has run before, "
            "or another model of the same code has, and hooks that come after that never fire. "
            "Enter skipway.watch before the first call of the compiled model "
            "(torch._dynamo.reset() makes it the first again), or give outputs=0 to watch the "
            "weights and their gradients alone.",
            page="training-setups#torchcompile",
        )

    def _named(self, part: Sequence[str] | None) -> str:
        if part is None or len(part) == len(self.modules):
            return "the model"
        return "the part with " + " and ".join(
            f"`{name}`" for name in dict.fromkeys(part[:: len(part) - 1 or 1])
        )

    def _unseen(self, part: Sequence[str]) -> bool:
        """Tell whether a part ran, as its gradients say, and none of its layers was seen to."""
        if not part or not self._known.isdisjoint(part):
            return False
        own = (p for name in part for p in self.modules[name].parameters(recurse=False))
        return any(parameter.grad is not None for parameter in own)

    def remove(self) -> None:
        """Take every hook out of the model."""
        self.looking = False
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._let_go()

    def _let_go(self) -> None:
        for handle in self._on_tensors:
            handle.remove()
        self._on_tensors.clear()

    def seen(self, name: str, arguments: Any, output: Any) -> None:
        """Look at one call of a layer."""
        self.fired = True
        if name not in self._known:
            self._known.add(name)
            self.order.append(name)
        if isinstance(output, Tensor):
            tensor = output
        else:
            found = (t for t in tensors(output) if t.is_floating_point() or t.is_complex())
            tensor = next(found, output)
            if tensor is output:
                return
        if not tensor.requires_grad or tensor.is_leaf:
            return
        size = norm(tensor)
        signal = self._signal(arguments) if name == self.order[-1] else None

        def arrive(gradient: Tensor) -> None:
            if self.looking:
                self._numbers.append((name, size, norm(gradient), signal))

        self._on_tensors.append(tensor.register_hook(arrive))  # type: ignore[no-untyped-call]

    def _signal(self, arguments: Any) -> Tensor | None:
        """Only what the last layer reads decides whether samples can still be told apart."""
        read = next((t for t in tensors(arguments) if t.is_floating_point()), None)
        if read is None or read.dim() < 2 or len(read) < 2:
            return None
        with torch.no_grad():
            return signal_share(read, len(read))


class _Leave:
    """The hook on one layer. A copy of the model, or its file, has a hook that does nothing."""

    def __init__(self, outputs: Outputs, name: str) -> None:
        self.outputs, self.name = outputs, name

    def __call__(self, module: nn.Module, arguments: Any, output: Any) -> None:
        outputs = self.outputs
        if not outputs.looking:
            return
        if torch.compiler.is_compiling():
            # Code that was compiled with the hooks in place serves the steps without, and the
            # other way round, so from now on they stay.
            outputs.lasting = True
            outputs.see(self.name, arguments, output)
        else:
            outputs.seen(self.name, arguments, output)

    def __reduce__(self) -> tuple[Any, ...]:
        return _Idle, ()


class _Idle:
    def __call__(self, module: nn.Module, arguments: Any, output: Any) -> None:
        return None


def _compiled_anything() -> bool:
    dynamo = sys.modules.get("torch._dynamo.utils")
    return dynamo is not None and bool(dynamo.counters["frames"]["ok"])


def _resolved(
    found: list[tuple[str, Tensor, Tensor, Tensor | None]], scale: float
) -> dict[str, Passed]:
    if not found:
        return {}
    values = _floats([each for _, *rest in found for each in rest])
    sums: dict[str, list[float]] = {}
    signals: dict[str, float] = {}
    by_pass = zip(values[::3], values[1::3], values[2::3], strict=True)
    for (name, *_), (size, gradient, signal) in zip(found, by_pass, strict=True):
        total = sums.setdefault(name, [0.0, 0.0])
        total[0] += size * size
        total[1] += gradient * gradient
        if signal >= 0:
            signals[name] = signal
    return {
        name: Passed(output**0.5, gradient**0.5 / scale, signals.get(name))
        for name, (output, gradient) in sums.items()
    }


def _floats(numbers: Sequence[Tensor | None]) -> list[float]:
    """Return numbers on the host, in one transfer from a device; -1 for those that are missing."""
    known = [each for each in numbers if each is not None]
    device, kind = known[0].device, known[0].dtype
    if all(each.device.type == "cpu" for each in known):
        return [-1.0 if each is None else each.item() for each in numbers]
    missing = torch.full((), -1.0, dtype=kind, device=device)
    flat = [missing if each is None else each.to(device, kind) for each in numbers]
    return list(map(float, torch.stack(flat).tolist()))
