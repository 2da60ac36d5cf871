"""Hooks on optimizers around someone else's loop."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from ._across import Across
from ._batch import Batch
from ._looked import Step
from ._outputs import Outputs, Passed
from ._sums import Sums
from ._turn import Handed, Turn
from ._witness import Witness


class Steps:
    """Looks at the steps of optimizers while it is entered.

    Args:
        turns: one for each optimizer.
        outputs: hooks on the layers; `None` for none.
        across: the processes that train together.
        scaler: a `GradScaler`, where one is used with optimizers that are not fused.
        tell: is called with every step that was looked at.
    """

    def __init__(
        self,
        turns: Sequence[Turn],
        outputs: Outputs | None,
        across: Across,
        scaler: Any,
        tell: Callable[[Turn, Step], None],
    ) -> None:
        self.turns = list(turns)
        self.outputs = outputs
        self._across, self._scaler, self._tell = across, scaler, tell
        self._handles: list[RemovableHandle] = []
        self._taken: dict[int, tuple[list[Batch], float]] = {}
        # What several processes send each other changes gradients too, and no factor tells how.
        self._witnesses = {
            id(turn): Witness(() if across.several else turn.parameters) for turn in turns
        }
        self._kept: dict[int, float] = {}

    def place(self) -> None:
        """Place the hooks."""
        for turn in self.turns:
            self._handles += [
                turn.optimizer.register_step_pre_hook(_never_compiled(self._pre(turn))),
                turn.optimizer.register_step_post_hook(_never_compiled(self._post(turn))),
            ]
        self._prepare()

    def remove(self) -> None:
        """Take every hook away."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        for turn in self.turns:
            turn.let_go()
            self._witnesses[id(turn)].attend(looked=False)
        if self.outputs is not None:
            self.outputs.remove()

    def hand(self, loss: Tensor) -> None:
        """Take a loss for every optimizer whose next step is looked at."""
        for turn in self.turns:
            # A closure may compute many losses in one step; the gradients of the first are used.
            if turn.watched and not (turn.closing and turn.handed):
                turn.hand(loss, self.outputs if turn.deep else None)

    def _prepare(self) -> None:
        for turn in self.turns:
            self._witnesses[id(turn)].attend(looked=turn.watched, deep=turn.deep)
        if self.outputs is None:
            return
        deep = any(turn.deep for turn in self.turns)
        if deep and not self.outputs.looking:
            self.outputs.begin()
        elif not deep and (self.outputs.looking or self.outputs.placed):
            self.outputs.end()

    def _pre(self, turn: Turn) -> Callable[[Optimizer, Any, Any], Any]:
        def before(optimizer: Optimizer, args: Any, kwargs: Any) -> Any:
            if turn.nests and turn.enter(_calling()):
                return None
            if not turn.watched:
                return None
            turn.refresh()
            closure = args[1] if len(args) > 1 else kwargs.get("closure")
            with torch.no_grad():
                self._take(turn, gradients=closure is None)
            if closure is None:
                return None
            wrapped = self._after_first(turn, closure)
            if len(args) > 1:
                return (args[0], wrapped, *args[2:]), kwargs
            return args, {**kwargs, "closure": wrapped}

        return before

    def _take(self, turn: Turn, *, gradients: bool) -> None:
        batches = turn.batches()
        scale = getattr(turn.optimizer, "grad_scale", None)
        self._taken[id(turn)] = batches, 1.0 if scale is None else float(scale)
        for batch in batches:
            batch.take_weights()
            if gradients:
                batch.take_gradients()
        if gradients:
            self._witness(turn)

    def _witness(self, turn: Turn) -> None:
        kept = self._witnesses[id(turn)].kept()
        if kept is None:
            del self._taken[id(turn)]  # what this step takes of the loss is not known: no look
        else:
            self._kept[id(turn)] = kept

    def _after_first(self, turn: Turn, closure: Callable[[], Any]) -> Callable[[], Any]:
        first = True

        def run() -> Any:
            nonlocal first
            # Lightning accumulates before the step and computes the last micro-batch inside it;
            # where nothing was handed in before, what passed before was no part of this step.
            if first and self.outputs is not None and not turn.handed:
                self.outputs.drop()
            value = closure()
            if first:
                first = False
                turn.closing = True
                with torch.no_grad():
                    for batch in self._taken[id(turn)][0]:
                        batch.take_gradients()
                    self._witness(turn)
                if not turn.handed and isinstance(value, Tensor):
                    turn.handed.append(Handed(value.detach()))
                if self.outputs is not None:
                    self.outputs.pause()
            return value

        return run

    def _post(self, turn: Turn) -> Callable[[Optimizer, Any, Any], None]:
        def after(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
            if turn.nests and turn.leave():
                return
            infinite = getattr(optimizer, "found_inf", None)  # of a GradScaler, for this step
            if turn.watched:
                self._look(turn, infinite)
                self._prepare()
            elif turn.pass_by(infinite):
                self._prepare()

        return after

    def _look(self, turn: Turn, infinite: Tensor | None) -> None:
        taken = self._taken.pop(id(turn), None)
        if taken is None:
            turn.pass_by(infinite)
            if self.outputs is not None:
                self.outputs.forget(turn.layers)
            return
        if infinite is not None and float(infinite):
            turn.leave_out()
            if self.outputs is not None:
                self.outputs.forget(turn.layers)
            return
        step = self._step(turn, *taken)
        turn.done()
        self._tell(turn, step)

    def _step(self, turn: Turn, batches: list[Batch], scale: float) -> Step:
        deep = turn.deep
        whole = scale if self._scaler is None else float(self._scaler.get_scale())
        with torch.no_grad():
            found = [self._sums(turn, batch, scale, deep) for batch in batches]
        kept = self._kept.pop(id(turn), 1.0) * whole / scale  # of the gradient, without AMP's scale
        if kept != 1.0:
            for sums in found:
                sums[3] /= kept
        sums, looked, counted = turn.gathered(batches, found, deep)
        loss = self._across.mean(turn.loss(whole))
        return Step(
            number=max(turn.count + 1, *(each.count for each in self.turns)),
            optimizer=self.turns.index(turn),
            sums=self._across.whole(sums),
            looked=looked,
            loss=loss,
            losses=np.where(looked, np.nan if loss is None else loss, np.nan),
            rate=max(float(group.get("lr", 0.0)) for group in turn.optimizer.param_groups),
            counted=counted,
            deep=deep or len(batches) > 1,
            well=all(batch.well for batch in batches),
            passed=self._passed(turn, whole) if deep else None,
        )

    def _sums(self, turn: Turn, batch: Batch, scale: float, deep: bool) -> Sums:
        # The turns of large tensors come seldom enough to count them each time.
        counts = deep or batch.shared
        moments = turn.moments(batch) if counts else None
        return batch.sums(scale, counts=counts, moments=moments)

    def _passed(self, turn: Turn, scale: float) -> dict[str, Passed] | None:
        if self.outputs is None:
            return None
        self.outputs.check()
        names = [name for name in self.outputs.modules if name in turn.layers]
        return self._across.passed(self.outputs.take(turn.layers, scale), names)


def _calling() -> FrameType | None:
    """Return the frame that calls a hook, past what keeps the hook from being compiled."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_globals.get("__name__", "").startswith("torch._dynamo"):
        frame = frame.f_back
    return frame


def _never_compiled(hook: Callable[..., Any]) -> Callable[..., Any]:
    # A step may be compiled; what looks at it from outside is no part of it. A call costs a quarter
    # of a microsecond.
    return torch.compiler.disable(hook)  # type: ignore[no-untyped-call, no-any-return]
