"""`Watch`: what a watched training shows so far."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn

from ..._errors import LossError, ModelError, warn
from ..._results import Diagnosis
from ..._trace._watch._across import Across
from ..._trace._watch._layers import Layers
from ..._trace._watch._looked import Step
from ..._trace._watch._steps import Steps
from ..._trace._watch._turn import Turn
from .._words import listed, plural
from ._diagnosis import diagnosis
from ._history import History
from ._judge import Judge
from ._scalars import scalars
from ._setting import Setting
from ._words import headline


class Watch:
    """What a watched training shows so far; made by `watch`.

    Attributes:
        step: how many steps were taken.
        fresh: whether the step that was taken last was looked at, so that `scalars()` are new.
    """

    def __init__(
        self,
        layers: Layers,
        turns: Sequence[Turn],
        steps: Steps,
        across: Across,
        notify: Callable[[str], None] | None,
    ) -> None:
        self._layers, self._turns, self._steps, self._across = layers, turns, steps, across
        self._notify = notify
        self._history = History(layers.owned)
        names = self._history.names
        narrow = [self._own(name)[0].parameter.dtype.itemsize == 2 for name in names]
        sizes = [math.inf if self._sparse(name) else self._size(name) for name in names]
        self._judge = Judge(self._history, np.asarray(narrow), np.asarray(sizes, float))
        self._may_learn: list[bool] = []
        if steps.outputs is not None:
            self._judge.hooked = steps.outputs.hooked
        self._last = 0
        self._held: dict[int, list[int]] = {}

    def _look_who_learns(self) -> None:
        """Follow what is frozen or freed, and what an optimizer is given, while training."""
        flags = [each.parameter.requires_grad for each in self._layers.owned]
        new = [turn for turn in self._turns if turn.places is not self._held.get(id(turn))]
        for turn in new:
            self._held[id(turn)] = turn.places
            self._history.hold(turn.places)
        if new or flags != self._may_learn:
            self._may_learn, main = flags, self._history.main & self._history.held
            own = np.bincount(self._history.layer, main & flags, len(self._history.names))
            self._judge.learns = own > 0

    def _own(self, layer: str) -> list[Any]:
        return [each for each in self._layers.owned if each.layer == layer]

    @property
    def step(self) -> int:
        """How many steps were taken."""
        return max(turn.count for turn in self._turns)

    @property
    def fresh(self) -> bool:
        """Whether the step that was taken last was looked at."""
        return 0 < self._last == max(turn.attempts for turn in self._turns)

    def loss(self, loss: Tensor) -> Tensor:
        """Hand in the loss that `backward()` is called on, before it is; returns it.

        Without it, nothing can be said about what the steps take of the loss. Accumulated
        micro-batches hand in one loss each.

        Args:
            loss: one number.

        Raises:
            LossError: it is not one number.

        Example:
            >>> import torch
            >>> from skipway import watch
            >>> net = torch.nn.Linear(2, 1)
            >>> with watch(net, torch.optim.SGD(net.parameters(), lr=0.1)) as seen:
            ...     seen.loss(net(torch.ones(3, 2)).square().mean()).backward()
        """
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            shape = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
            raise LossError(f"The loss is {shape}, not one number. Hand in what is minimised.")
        self._steps.hand(loss)
        return loss

    def scalars(self) -> dict[str, float]:
        """Return the latest numbers for a logger, by name and layer.

        Returns:
            `loss`, `total progress`, `learning rate` and, for every layer, `gradient/LAYER` and
            the like; see docs/watch.md. Empty before the first step.
        """
        order = [] if self._steps.outputs is None else self._steps.outputs.order
        return scalars(self._history, order)

    def diagnosis(self) -> Diagnosis:
        """Return what the training shows so far, with all layers over the steps.

        Raises:
            ModelError: no step was taken yet.
        """
        if not self._history.steps:
            raise ModelError("No step was taken yet, so there is nothing to tell. Train first.")
        return diagnosis(self._history, self._judge.so_far(), self._setting())

    def _setting(self) -> Setting:
        names = self._history.names
        outputs = self._steps.outputs
        optimizers = [type(turn.optimizer).__name__ for turn in self._turns]
        return Setting(
            types=[_type(self._layers.modules.get(name), self._own(name)) for name in names],
            sizes=[self._size(name) for name in names],
            learns=self._judge.learns.tolist(),
            order=[] if outputs is None else outputs.order,
            optimizer=", ".join(dict.fromkeys(optimizers)),
            every=self._turns[0].every,
            steps=self.step,
            stays=self._judge.stays,
            notes=self._notes(),
        )

    def _main(self, name: str) -> list[nn.Parameter]:
        own = [each.parameter for each in self._own(name)]
        return [each for each in own if each.dim() > 1] or own

    def _size(self, name: str) -> int:
        return sum(each.numel() for each in self._main(name))

    def _sparse(self, name: str) -> bool:
        return isinstance(self._layers.modules.get(name), (nn.Embedding, nn.EmbeddingBag))

    def _notes(self) -> list[str]:
        found = []
        if self._history.loss is None:
            found.append(
                "No loss was handed in, so elasticities are relative to the largest one and steps "
                "could not be judged. Give it: `watch.loss(loss).backward()`."
            )
        if not self._turns[0].outputs:
            found.append("The outputs of the layers were not looked at (outputs=0).")
        elif hidden := self._hidden():
            found.append(
                f"The outputs of {plural(hidden, 'layer')} were not looked at: there are none, "
                "since a block computes in one piece. With outputs=10 it computes layer by layer "
                "at every tenth look, and a last digit may differ."
            )
        if unused := self._unused():
            found.append(
                f"{listed(unused)}: never called and without a gradient, so no step has a use for "
                "what is in there."
            )
        pairs = zip(self._history.names, self._judge.learns, strict=True)
        if still := [name for name, learns in pairs if not learns]:
            are = "is" if len(still) == 1 else "are"
            found.append(
                f"{listed(still)} {are} frozen or in no optimizer: {len(still)} of "
                f"{plural(len(self._history.names), 'layer')}."
            )
        return found

    def _unused(self) -> list[str]:
        history = self._history
        out = self._judge.uncalled() & np.isnan(history.now().gradient)
        return [name for name, gone in zip(history.names, out, strict=True) if gone]

    def _hidden(self) -> int:
        outputs = self._steps.outputs
        return len(self._layers.modules) - (0 if outputs is None else len(outputs.modules))

    def _see(self, turn: Turn, step: Step) -> None:
        self._last = turn.attempts
        if step.deep or not step.well or turn.places is not self._held.get(id(turn)):
            self._look_who_learns()
        self._history.add(step)
        if self._steps.outputs is not None:
            self._judge.order = self._steps.outputs.order
        for spell in self._judge.see(step):
            if self._across.speaks:
                self._say(f"step {spell.step}: {headline(spell, self._history.names)}")

    def _say(self, words: str) -> None:
        if self._notify is not None:
            self._notify(words)
        else:
            warn(words, page="watch#what-it-says-and-when")


def _type(module: nn.Module | None, own: Sequence[Any]) -> str:
    if isinstance(module, nn.Linear):
        return f"Linear {module.in_features} → {module.out_features}"
    if isinstance(module, nn.modules.conv._ConvNd):
        kernel = "×".join(map(str, module.kernel_size))
        kind = type(module).__name__
        return f"{kind} {module.in_channels} → {module.out_channels}, {kernel}"
    if isinstance(module, nn.Embedding):
        return f"Embedding {module.num_embeddings} → {module.embedding_dim}"
    shape = "×".join(map(str, own[0].parameter.shape))
    return f"{type(module).__name__ if module is not None else 'weights'} {shape}"
