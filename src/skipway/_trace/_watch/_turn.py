"""One optimizer of a watched training: which of its steps are looked at, and what they did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim import Optimizer

from ..._errors import LossError
from ._batch import Arena, Batch, Moments, rows_of
from ._outputs import Outputs
from ._sums import QUANTITIES, Sums
from ._tensors import plain, width

LARGE = 2**16  # numbers; a tensor this large pays for calls of its own
_EARLY = 3  # the first looks are at the outputs too: most illnesses are there from the start
_UNLIKELY = 2.0  # micro-batches divide a loss; what multiplies it is a GradScaler


Gathered = tuple[Sums, NDArray[np.bool_], NDArray[np.bool_]]


@dataclass
class Handed:
    """A loss that was handed in, and the gradient that backward began with there."""

    value: Tensor
    slope: list[Tensor] = field(default_factory=list)


class Turn:
    """One optimizer and how far it is.

    Args:
        optimizer: whose steps are counted.
        layers: the layer of every parameter of the model, in order.
        places: index of every parameter of the model, by id.
        every: how many steps from one look to the next.
        outputs: at how many looks the outputs are looked at once; 0 for never.
        weights: how many numbers of large tensors are looked at in one step.
        pause: how many looks from one at large tensors to the next.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        layers: Sequence[str],
        places: dict[int, int],
        every: int,
        outputs: int,
        weights: int,
        pause: int,
    ) -> None:
        self.optimizer = optimizer
        self.every, self.outputs = every, outputs
        self.attempts = self.looks = 0
        self._left_out: Tensor | int = 0
        # Hooks are called around the step of each class that has one of its own.
        own = [each for each in type(optimizer).__mro__ if "step" in vars(each)]
        self.nests = len(own) > 2  # besides that of `Optimizer`, which does nothing
        self._frame: FrameType | None = None
        self._inside = 0
        self.watched = True
        self.handed: list[Handed] = []
        self.closing = False
        self.passes = 0
        self._seen: Tensor | None = None
        self._layers, self._places = layers, places
        self._weights, self._pause = weights, pause
        self._build()

    def _build(self) -> None:
        held = [p for group in self.optimizer.param_groups for p in group["params"]]
        self._held = self._lists()
        known = [each for each in held if id(each) in self._places]
        self.places = [self._places[id(each)] for each in known]
        self.layers = {self._layers[self._places[id(each)]] for each in known}
        learning = [each for each in known if each.requires_grad]
        self._known = known
        self._probe = min(learning, key=lambda each: each.numel(), default=None)
        kinds: dict[Any, tuple[list[Tensor], list[Tensor]]] = {}
        for each in known:
            lists = kinds.setdefault((each.device, width(each)), ([], []))
            # Whole sizes, so that all processes cut alike.
            lists[each.numel() >= LARGE].append(each)
        self._small = [
            self._batch(kind, small, None) for kind, (small, _) in kinds.items() if small
        ]
        self._everything = np.ones(len(self._layers), bool)
        # Most often one batch is everything, as it stands in the model: nothing to sort then.
        self._in_order = self.places == list(range(len(self._layers))) and not any(
            large for _, large in kinds.values()
        )
        self._in_order &= len(self._small) == 1
        self._turns = [
            batch for kind, (_, large) in kinds.items() for batch in self._in_turns(kind, large)
        ]

    def _in_turns(self, kind: Any, large: Sequence[Tensor]) -> list[Batch]:
        """Cut into turns of at most `weights` numbers; what is of one layer stays together."""
        layers: dict[str, list[Tensor]] = {}
        for each in large:
            layers.setdefault(self._layers[self._places[id(each)]], []).append(each)
        parts: list[list[Tensor]] = []
        room = 0
        for tensors in layers.values():
            size = sum(each.numel() for each in tensors)
            if not parts or size > room:
                parts.append([])
                room = self._weights
            parts[-1] += tensors
            room -= size
        most = max((sum(map(rows_of, part)) for part in parts), default=0)
        arena = Arena.of(most, kind[1], kind[0])
        return [self._batch(kind, part, arena) for part in parts]

    def _batch(self, kind: Any, tensors: Sequence[Tensor], arena: Arena | None) -> Batch:
        own = arena or Arena.of(sum(map(rows_of, tensors)), kind[1], kind[0])
        places = [self._places[id(each)] for each in tensors]
        return Batch(places, tensors, own, shared=arena is not None)

    @property
    def parameters(self) -> list[Tensor]:
        """Those of the model that it holds."""
        return self._known

    @property
    def count(self) -> int:
        """How many steps were taken; those that GradScaler left out are none."""
        return self.attempts - int(self._left_out)

    @property
    def deep(self) -> bool:
        """Whether the next look is a deep one, at the outputs and at every single weight."""
        early, often = self.looks < _EARLY, self.outputs or 10
        return self.watched and (early or self.looks % often == 0)

    def batches(self) -> list[Batch]:
        """Return what this look looks at: all small tensors and some of the large ones."""
        pause = self._pause if self._small else 1
        if not self._turns or self.looks % pause:
            return self._small
        return [*self._small, self._turns[self.looks // pause % len(self._turns)]]

    def refresh(self) -> None:
        """Follow what was added to the optimizer."""
        if self._lists() != self._held:
            self._build()

    def _lists(self) -> list[tuple[int, int]]:
        lists = [group["params"] for group in self.optimizer.param_groups]
        return [(id(each), len(each)) for each in lists]

    def done(self) -> None:
        """Count the step that was taken."""
        if self.watched:
            self.looks += 1
            self._forget()
        self.attempts += 1
        self.watched = (self.attempts + 1) % self.every == 0

    def leave_out(self) -> None:
        """Count a step that was not taken: the next one is looked at in its place."""
        self._forget()
        self.attempts += 1
        self._left_out = self._left_out + 1

    def pass_by(self, infinite: Tensor | None) -> bool:
        """Count a step that is not looked at, and tell whether the next one is.

        Args:
            infinite: more than 0 where GradScaler had the optimizer leave it out. It stays on its
                device: the host need not wait for it.
        """
        if infinite is not None:
            self._left_out = self._left_out + (infinite.detach() > 0).to(torch.int64).sum()
        self.done()
        return self.watched

    def enter(self, frame: FrameType | None) -> bool:
        """Tell whether this step is a part of one: a subclass's step calls that of its base.

        PyTorch calls the hooks around both. A step that raised never left, so what counts is
        whether the outer one still runs.

        Args:
            frame: of what calls the hooks.
        """
        outer: FrameType | None = frame if self._frame is not None else None
        while outer is not None and outer is not self._frame:
            outer = outer.f_back
        if outer is not None:
            self._inside += 1
            return True
        self._frame, self._inside = frame, 0
        return False

    def leave(self) -> bool:
        """Tell whether the step that ends is a part of one, as `enter` did."""
        if self._inside:
            self._inside -= 1
            return True
        self._frame = None
        return False

    def let_go(self) -> None:
        """Keep no frame of a step that raised: everything that its loop holds hangs on it."""
        self._frame = None

    def _forget(self) -> None:
        self.handed.clear()
        self._seen = None
        self.closing = False

    def hand(self, loss: Tensor, outputs: Outputs | None) -> None:
        """Take the loss of (a part of) the step to come."""
        grad = self._probe_gradient()
        fresh = self._seen is not None and grad is not self._seen
        if grad is None or fresh:
            # What was handed in before belongs to a step that GradScaler left out.
            self.handed.clear()
            if outputs is not None:
                outputs.drop(self.passes if fresh and grad is not None else None)
        self._seen = grad
        self.passes = 0 if outputs is None else len(outputs)
        handed = Handed(loss.detach())
        if loss.grad_fn is not None:
            loss.grad_fn.register_prehook(handed.slope.extend)
        self.handed.append(handed)

    def _probe_gradient(self) -> Tensor | None:
        """Return the gradient of some parameter, which tells one step from the next."""
        if self.handed and (self._probe is None or self._probe.grad is None):
            # Not every parameter gets one: a part may be detached, frozen, or have no part in this.
            self._probe = next((p for p in self._known if p.grad is not None), self._probe)
        return None if self._probe is None else self._probe.grad

    def loss(self, scale: float) -> float | None:
        """Return the loss whose gradient this step takes."""
        if not self.handed:
            return None
        total = 0.0
        for each in self.handed:
            factor = float(each.slope[0]) / scale if each.slope else 1.0
            if abs(factor) >= _UNLIKELY:
                raise LossError(
                    f"The gradient that begins at the loss is {factor:g}, not 1. If that is a "
                    "GradScaler, give it: watch(..., scaler=scaler). If the loss is multiplied, "
                    "hand in what backward() is called on.",
                    page="training-setups#mixed-precision",
                )
            total += factor * float(each.value)
        return total

    def moments(self, batch: Batch) -> Moments | None:
        """Return Adam's second moments of a batch; `None` where the optimizer has none."""
        if not any("eps" in group and "betas" in group for group in self.optimizer.param_groups):
            return None
        groups = {id(p): group for group in self.optimizer.param_groups for p in group["params"]}
        tensors, limits = [], []
        for own, parameter in zip(batch.weights, batch.parameters, strict=True):
            state = self.optimizer.state.get(parameter, {})
            group = groups[id(parameter)]
            found = state.get("max_exp_avg_sq", state.get("exp_avg_sq"))
            if found is None or "eps" not in group or "betas" not in group:
                tensors.append(torch.zeros_like(own))
                limits.append(-1.0)
                continue
            tensors.append(plain(found))
            beta, step = float(group["betas"][1]), float(state["step"])
            limits.append(float(group["eps"]) ** 2 * (1 - beta**step))
        return Moments(tensors, limits) if max(limits, default=-1.0) >= 0 else None

    def gathered(self, batches: Sequence[Batch], found: Sequence[Sums], counts: bool) -> Gathered:
        """Return the sums of all parameters, which were looked at, and which were counted.

        Args:
            batches: that were looked at.
            found: their sums.
            counts: whether weights were counted everywhere; in shared memory they always are.
        """
        if self._in_order:
            return found[0], self._everything, self._everything if counts else ~self._everything
        total = len(self._layers)
        sums, looked, counted = np.zeros((len(QUANTITIES), total)), *np.zeros((2, total), bool)
        for batch, own in zip(batches, found, strict=True):
            sums[:, batch.places] = own
            looked[batch.places] = True
            counted[batch.places] = counts or batch.shared
        return sums, looked, counted
