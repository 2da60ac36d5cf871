"""What `diagnose` returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from .._errors import SkipwayError
from ._layer import LayerReading, SkipConnection
from ._result import Drawn, Result
from ._watching import Watching
from ._what_if import Ends, WhatIf

Cause = Literal[
    "vanishing",
    "exploding",
    "dead-units",
    "saturation",
    "collapsed-signal",
    "lr-too-small",
    "lr-too-large",
    "weight-decay",
    "precision",
    "frozen",
    "detached",
    "non-finite",
    "no-signal",
    "solved",
    "healthy",
]
CAUSES: tuple[str, ...] = get_args(Cause)

Treatment = Literal[
    "skip",
    "initialisation",
    "normalisation",
    "learning-rate",
    "precision",
    "unfreeze",
    "reattach",
    "optimizer",
    "data",
    "loss",
    "none",
]

Ask = Callable[[Any, Any, Any], WhatIf]


@dataclass(frozen=True)
class Finding(Result):
    """One thing that is wrong (or right), with its evidence and what to do.

    Attributes:
        cause: one of `CAUSES`.
        title: a short sentence, `"The gradient vanishes through depth"`.
        place: where, in words.
        evidence: what was measured, in words.
        remedy: what to do, in words.
        sure: how sure, and why.
        treatment: which kind of remedy it is.
        layers: names of the layers concerned, the worst first.
        suggestion: numbers of the remedy where it has them: `learning_rate` and its range,
            `learning_rate_low` to `learning_rate_high`, of several optimizers
            `learning_rate/AdamW` and so on; `gain` and `std` of a start; `scale` of
            weights that are too large; `clip_norm`; `weight_decay`; `relative_step` and
            `resolution` of steps that are rounded away; how many `skips`.
        skips: ends of the skips that would answer it, as `rewire` places them; `what_if` takes
            them too.
    """

    kind_of_result = "finding"
    cause: Cause
    title: str
    place: str
    evidence: str
    remedy: str
    sure: str
    treatment: Treatment
    layers: tuple[str, ...] = ()
    suggestion: dict[str, float] = field(default_factory=dict)
    skips: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Diagnosis(Drawn):
    """Where the gradient dies, and why.

    Attributes:
        cause: the main cause, one of `CAUSES`.
        treatment: what answers it; `"skip"` only where depth is the cause.
        headline: a short sentence for the top of a page.
        summary: two or three sentences in the terms the user feels.
        layers: every weight layer in execution order.
        findings: the main finding first, then the others in the order in which to act.
        absent: what was looked for and not found, in words.
        skips: the skip connections the model already has.
        when: at which point of training, `"before the first step"`.
        batch: how many samples, of all batches.
        loss: of this batch, the mean over several.
        skill: the loss over that of the best constant output; `None` where that has no meaning.
        chance: the loss of the best constant output.
        decades_lost: the most that any layer lost.
        place: the layer named in the summary, where the gradient is weakest.
        learning_rate: of the optimizer; `None` without one, or where several have different ones.
        optimizer: its class name; of several all of them, with their rates where these differ;
            `None` without one.
        relative: true where `|L|` means nothing (negative or offset losses) and elasticities are
            relative to the largest one.
        notes: what could not be known here, and why.
        watching: the layers over the steps, where a training was watched.
        batches: on how many it was measured.
        ask: what `what_if` asks; it holds the model and the batch, and stays out of files.
    """

    kind_of_result = "diagnosis"
    cause: Cause
    treatment: Treatment
    headline: str
    summary: str
    layers: tuple[LayerReading, ...]
    findings: tuple[Finding, ...]
    absent: tuple[str, ...]
    skips: tuple[SkipConnection, ...]
    when: str
    batch: int
    loss: float
    skill: float | None
    chance: float | None
    decades_lost: float
    place: str
    learning_rate: float | None = None
    optimizer: str | None = None
    relative: bool = False
    notes: tuple[str, ...] = ()
    watching: Watching | None = None
    batches: int = 1
    ask: Ask | None = field(default=None, repr=False, compare=False, metadata={"plain": False})

    def what_if(
        self,
        *,
        skip: Ends | Sequence[Ends] | None = None,
        cut: Ends | Sequence[Ends] | None = None,
    ) -> WhatIf:
        """Tell how much gradient would arrive with a skip more, or with one less.

        The model runs forward and backward once more on the same batch; nothing is trained and no
        value changes. A skip is tried as `f(x) + (x - x.detach())`, which adds nothing to the
        value and 1 to the slope; one is cut as `x.detach() + f(x)`. So it says what the gradient
        alone gains or loses, and nothing of what the skip would do to the signal.

        Args:
            skip: `(from, to)`, names of two layers whose outputs have the same shape, or several
                such pairs, or the `skips` of a plan.
            cut: `(source, destination)` of a skip in `skips`, or it itself, or several.

        Returns:
            Every layer's numbers before and after.

        Raises:
            SkipwayError: no such layers or skip, shapes that do not fit, the model is no longer
                as it was, or this is of a watched training, copied or read from a file.

        Example:
            >>> import torch
            >>> from torch import nn
            >>> from skipway import diagnose
            >>> _ = torch.manual_seed(0)
            >>> net = nn.Sequential(*(nn.Linear(8, 8) for _ in range(12)), nn.Linear(8, 2))
            >>> batch = torch.randn(32, 8), torch.randint(2, (32,))
            >>> diagnosis = diagnose(net, batch, nn.functional.cross_entropy)
            >>> answer = diagnosis.what_if(skip=("0", "11"))
            >>> answer.layer("0").elasticity > 100 * diagnosis.layer("0").elasticity
            True
        """
        if self.ask is None:
            raise SkipwayError(
                "This diagnosis holds no model: it is of a watched training, was copied or read "
                "from a file. Diagnose the model on a batch, then ask.",
                page="diagnosis#what-if",
            )
        return self.ask(self, skip, cut)

    def __getstate__(self) -> dict[str, Any]:
        # A diagnosis is plain data wherever it travels; its model stays where it is.
        return {**self.__dict__, "ask": None}

    def layer(self, name: str) -> LayerReading:
        """Return the reading of one layer.

        Raises:
            SkipwayError: the network has no such layer.
        """
        for layer in self.layers:
            if layer.name == name:
                return layer
        names = ", ".join(each.name for each in self.layers[:8])
        raise SkipwayError(f"No layer is called {name!r}; the first ones are {names}.")
