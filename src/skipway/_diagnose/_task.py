"""`Task`: what is to be diagnosed, and the measurements that it takes."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from .._case import Loss, Objective, loss_of
from .._errors import LossError, ModelError, SkipwayError
from .._trace import Graph, untouched
from .._trace._alter import Alteration
from .._trace._average import average
from .._trace._probe import Probe, probe
from .._trace._untouched import random_state
from . import _groups as groups
from . import _thresholds as limit
from ._answers import distance, shifted, squashed, unpaired
from ._chance import best_constant_loss
from ._closure import Asked, widened
from ._facts import Facts
from ._measure import read_layers
from ._memory import memory_of
from ._notes import notes_of
from ._plan import plan_of
from ._rates import rates_of
from ._sameness import one_of_two, same_targets
from ._step import Taken, summed, take_step
from ._together import Together
from ._what_if import CHANGED, Asker
from ._words import plural


def nobody(passes: int) -> None:
    """Tell nobody how many passes there were."""


@dataclass
class Task:
    """What is to be diagnosed, and the notes on what could not be."""

    model: nn.Module
    batch: Any
    loss_fn: Loss | None
    objective: Objective | None
    optimizer: Together | None
    size: int
    steps: int | None
    parts: list[tuple[Any, int]]
    notes: list[str] = field(default_factory=list)
    outputs: list[tuple[Any, Any]] = field(default_factory=list)
    graph: Graph = field(default_factory=lambda: Graph((), (), ()))
    again: Callable[[], None] = lambda: None
    keeps: bool = False
    passes: int = 0
    tell: Callable[[int], None] = nobody
    taken: Taken | None = None
    reads_kept: bool = False
    draws: bool = False

    def evaluate(self, model: nn.Module) -> Tensor:
        """Return the loss, the mean over the batches."""
        if len(self.parts) == 1:
            return self.loss_on(model, self.parts[0][0])
        return torch.stack([self.loss_on(model, part) for part, _ in self.parts]).mean()

    def evaluate_wide(self, model: nn.Module) -> Tensor:
        """Return the loss of a model in float64, on the batches in it."""
        losses = [self.loss_on(model, widened(part)) for part, _ in self.parts]
        return torch.stack(losses).mean()

    def loss_on(self, model: nn.Module, batch: Any) -> Tensor:
        """Return the loss of a batch, what goes wrong in the loss itself explained."""
        self.passes += 1
        self.tell(self.passes)
        return loss_of(model, batch, self._judge if self.loss_fn else None, self.objective)

    def _judge(self, output: Any, targets: Any) -> Tensor:
        assert self.loss_fn is not None
        if self.keeps:
            self.outputs.append((output, targets))
        try:
            return self.loss_fn(output, targets)
        except Exception as error:
            raise LossError(
                f"The loss function raised {type(error).__name__} on an output of "
                f"{_shape(output)} and targets of {_shape(targets)}: {str(error).rstrip('.')}. "
                "Check that loss_fn(model(inputs), targets) runs by itself."
            ) from error

    def measure(self) -> Facts:
        """Return what one pass and one step say."""
        self.again, self.keeps = random_state(), True
        before = torch.get_rng_state()
        seen = self._probe()
        self.keeps, self.draws = False, not torch.equal(before, torch.get_rng_state())
        self.graph = seen.graph
        answered = self.outputs
        same = self.loss_fn is not None and same_targets(self.parts)
        rare = same and bool(answered) and all(one_of_two(*each) for each in answered)
        # Nothing, which a constant answer gets where one of two is missing, is no measure.
        chance = None if rare else self._chance()
        taken = self._step(seen)
        moves = None if taken is None else taken.moves
        held = None if self.optimizer is None else groups.held(self.optimizer)
        size = sum(count for _, count in self.parts)
        facts = read_layers(self.model, seen, moves, held, batch=size, chance=chance)
        facts = replace(facts, unused=_unused(facts, seen))
        objective = self.objective is not None
        self.notes += notes_of(facts, seen, self.model, self.optimizer, objective=objective)
        return replace(
            facts,
            underflow=self._underflows(facts),
            draws=self.draws,
            **self._answers(answered, chance),
            same_targets=same,
            rare=rare,
            step=None if taken is None else summed(taken, abs(facts.loss) or 1.0),
            rates=rates_of(self.optimizer),
            decay=groups.decay(self.optimizer),
            unregistered=tuple(
                (name, size) for name, own, size in seen.outside if own not in (held or ())
            ),
            exchanged=groups.exchanged(facts, self.model, self.optimizer),
            slow=groups.slow(facts, self.model, self.optimizer),
            stopped=groups.stopped(self.optimizer),
            plan=plan_of(self.optimizer),
            memory=memory_of(self.optimizer),
            optimizer=None if self.optimizer is None else self.optimizer.name,
        )

    def _answers(self, seen: list[tuple[Any, Any]], chance: float | None) -> dict[str, Any]:
        """Return what the loss makes of the answers to the first batch."""
        if self.loss_fn is None or not seen:
            return {}
        output, targets = seen[0]
        loss = self.loss_fn(output, targets).item() if chance else 0.0
        large = loss > limit.MISSCALED * (chance or 0.0)
        return {
            "shifted": shifted(self.loss_fn, output, targets, chance) if large else None,
            "squashed": squashed(self.graph, self.loss_fn, output, targets, chance),
            "distance": distance(output, targets),
            "unpaired": unpaired(self.loss_fn, output, targets),
        }

    def _underflows(self, facts: Facts) -> bool:
        """Tell whether the gradient arrives once the loss is multiplied, for one more pass.

        In real numbers that changes nothing. Only float16 is so narrow that it may.
        """
        if not (facts.dying or facts.weak_everywhere) or facts.relative or self.reads_kept:
            return False
        if all(node.dtype != "float16" for node in self.graph.nodes):
            return False
        with contextlib.suppress(LossError):
            factor = limit.LOUD / (abs(facts.loss) or 1.0)
            seen = average(
                probe(self.model, partial(self._enlarged, factor, part), size)
                for part, size in self.parts
            )
            scale = facts.scale * factor
            read = read_layers(
                self.model, seen, None, None, batch=self.size, chance=None, scale=scale
            )
            arrives = not (read.dying or read.weak_everywhere or read.bad_gradient)
            return arrives and math.isfinite(seen.loss)
        return False

    def _enlarged(self, factor: float, batch: Any) -> Tensor:
        return factor * self.loss_on(self.model, batch)

    def asker(self, facts: Facts) -> Asker:
        """Return what answers the questions after the diagnosis."""
        return Asker(self.graph, facts, partial(self._repeat, facts, self._versions()))

    def _versions(self) -> list[int]:
        """Count the changes in place of every parameter; `.data` and copies are not counted."""
        return [0 if p.is_inference() else p._version for p in self.model.parameters()]

    def _repeat(
        self, facts: Facts, versions: list[int], alteration: Alteration
    ) -> tuple[Probe, Facts]:
        if versions != self._versions():
            raise SkipwayError(CHANGED)
        with untouched(self.model):
            self.again()
            seen = self._probe(alteration)
        held = None if self.optimizer is None else groups.held(self.optimizer)
        read = read_layers(
            self.model, seen, None, held, batch=self.size, chance=facts.chance, scale=facts.scale
        )
        return seen, read

    def _chance(self) -> float | None:
        """Return the loss of the best constant output for all batches together."""
        seen, self.outputs = self.outputs, []
        if self.loss_fn is None or not seen:
            return None
        output, targets = seen[0]
        if len(seen) > 1 and all(isinstance(each, Tensor) for pair in seen for each in pair):
            with contextlib.suppress(RuntimeError):  # of other shapes: the first one has to do
                output, targets = (torch.cat([pair[at].detach() for pair in seen]) for at in (0, 1))
        return best_constant_loss(self.loss_fn, output, targets)

    def _probe(self, alteration: Alteration | None = None) -> Probe:
        seen = self._probed(alteration, kept=self.reads_kept)
        if not seen.graph.units and not self.reads_kept:
            self.reads_kept, self.outputs = True, []
            seen = self._probed(alteration, kept=True)
        if not seen.graph.units:
            raise ModelError(
                f"No layer of the model ({type(self.model).__name__}) multiplies by a weight "
                "in this pass, so there is nothing to follow. Check that forward uses its layers."
            )
        learns = any(p.requires_grad for p in self.model.parameters())
        if learns and not seen.connected and seen.cut is None:
            raise LossError(
                "The loss carries no gradient, though the model's output does. Something between "
                "them cuts it off: .item(), .detach(), argmax, NumPy. Compute the loss in torch."
            )
        return seen

    def _probed(self, alteration: Alteration | None, *, kept: bool) -> Probe:
        try:
            return average(
                probe(
                    self.model,
                    partial(self.loss_on, self.model, part),
                    size,
                    None if alteration is None else alteration.anew(),
                    kept=kept,
                )
                for part, size in self.parts
            )
        except SkipwayError:
            raise
        except Exception as error:
            if self.objective is None:
                raise  # neither the model nor its loss: those are explained where they are called
            raise LossError(
                f"The objective raised {type(error).__name__}: {error}. Check that "
                "objective(model, batch) runs by itself."
            ) from error

    def _step(self, seen: Probe) -> Taken | None:
        if self.optimizer is None:
            tried = f", nor {plural(int(self.steps), 'step')} tried" if self.steps else ""
            self.notes.append(
                "Without an optimizer the size of the steps, rounding and weight decay could "
                f"not be judged{tried}."
            )
            return None
        try:
            self.taken = take_step(self.model, self.optimizer, seen.gradients)
        except Exception as error:
            # An optimizer of any make may need a closure or refuse to be copied.
            self.taken = self._step_with_closure(seen)
            if self.taken is None:
                self.notes.append(
                    f"{self.optimizer.name} could not take a step on a copy "
                    f"({type(error).__name__}: {error}), so its steps were not judged."
                )
        return self.taken

    def _step_with_closure(self, seen: Probe) -> Taken | None:
        """Step again, those with a closure that take no step without one."""
        assert self.optimizer is not None
        each = self.optimizer.each
        asking = [at for at in range(len(each)) if not self._steps_alone(each[at], seen)]
        self.optimizer = Together(each, asking)
        self.again()  # the first call of the closure is to see what was measured
        try:
            asked = Asked(self.model, self.evaluate, self.evaluate_wide)
            taken = take_step(self.model, self.optimizer, seen.gradients, asked)
        except Exception:
            return None
        self.notes.append(
            f"The steps of {self.optimizer.name} were taken with a closure, loss and gradient anew "
            "at each of its calls. Progress is still of first order: along the way that the whole "
            "step goes, with the gradient at its beginning."
        )
        return taken

    def _steps_alone(self, optimizer: Optimizer, seen: Probe) -> bool:
        try:
            take_step(self.model, Together([optimizer]), seen.gradients)
        except Exception:
            return False
        return True


def _unused(facts: Facts, seen: Probe) -> tuple[str, ...]:
    return tuple(
        layer.name
        for layer in facts.layers
        if seen.gradients.get(f"{layer.name}.weight", 0) is None
        and layer.name not in (*facts.frozen, *facts.cut_off)
    )


def _shape(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"shape {tuple(value.shape)} ({str(value.dtype).removeprefix('torch.')})"
    return f"type {type(value).__name__}"
