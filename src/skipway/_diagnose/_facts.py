"""`Facts`: everything a verdict may depend on, as plain numbers and names."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .._results import LayerReading, SkipConnection
from . import _thresholds as limit
from ._answers import Squashed
from ._plan import Plan
from ._rates import Rates
from ._starts import Start
from ._stepped import Stepped, Tried


@dataclass(frozen=True)
class Branch:
    """One branch beside a skip, or beside other branches.

    Attributes:
        source: the layer where the ways part, or `"input"`.
        destination: the layer after which they join.
        layers: the weight layers of the branch, in execution order.
        reach: the largest `||dL/dW|| * max(||W||, root of its width) / |L|` over the weights that
            the branch multiplies by: what it could do if they had a usual size. One that starts
            at zero has it too.
        stream: `||dL/dx|| * ||x|| / |L|` of the skipped tensor where they join.
        share: size of what the branch adds over that of the stream.
        fall: decades of the elasticity of its own layers lost between them, where it is one chain
            and none of its weights starts at zero.
        weakest: the layer of the branch where it is lowest.
        blank: what comes out of it is the same for every sample, though what goes in is not.
        parallel: beside it are other branches and no skip.
        cut: no way back leads to its weights at all, though they ask for a gradient.
    """

    source: str
    destination: str
    layers: tuple[str, ...]
    reach: float
    stream: float
    share: float
    fall: float
    weakest: str
    blank: bool = False
    parallel: bool = False
    cut: bool = False


@dataclass(frozen=True)
class Facts:
    """What was measured; see `Diagnosis` for the fields of the same name."""

    layers: tuple[LayerReading, ...]
    skips: tuple[SkipConnection, ...]
    batch: int
    loss: float
    chance: float | None
    skill: float | None
    relative: bool
    growth: float
    arriving: float | None
    """The signal that the last weight layer reads."""
    scale: float
    """What elasticities and progress are divided by: `|L|` where that means something."""
    dtype: str
    """Of most of the weights, for readers."""
    unfit: tuple[str, ...] = ()
    """Names of parameters that hold NaN or infinity."""
    non_finite: str | None = None
    """Where the first value stopped being finite, in words."""
    bad_gradient: str | None = None
    """The last layer whose gradient is not finite."""
    underflow: bool = False
    """A gradient that arrives where the loss is multiplied, and does not as it is."""
    draws: bool = False
    """Random numbers were drawn in the pass."""
    unused: tuple[str, ...] = ()
    """Layers that were called, and that nothing on the way to the loss reads."""
    noise: float = 0.0
    """Share of the answers that is noise of the network's own, where it draws any."""
    cut: str | None = None
    """Where the gradient is cut off, in words."""
    cut_off: tuple[str, ...] = ()
    """Layers that would learn and that no gradient can reach."""
    cut_beside: bool = False
    """A way from an input to an output passes none of the layers that are cut off."""
    cut_calls: tuple[str, ...] = ()
    """Calls that no gradient can reach, of layers that get one by another call."""
    slow: tuple[str, ...] = ()
    """Layers that learn at a rate that is next to nothing beside that of others."""
    stopped: bool = False
    """Every learning rate is zero."""
    plan: Plan | None = None
    """What a schedule of the learning rates is about."""
    frozen: tuple[str, ...] = ()
    """Layers whose weight does not require a gradient."""
    unheld: tuple[str, ...] = ()
    """Layers that require a gradient and that the optimizer does not hold."""
    exchanged: bool = False
    """The optimizer holds, in place of those that it does not hold, some of another model."""
    zero_started: tuple[str, ...] = ()
    """Layers whose weight is exactly zero and has a gradient."""
    weak_everywhere: bool = False
    """Signal and gradient shrink together: `WEAK_EVERYWHERE` holds for every layer."""
    through_time: bool = False
    """The layers that lose the most are calls of one module."""
    passable: bool = True
    """A way from an input to an output passes no layer that counts as dying."""
    rates: Rates | None = None
    """Learning rates; `None` without an optimizer."""
    optimizer: str | None = None
    memory: float = 1.0
    """Over how many steps the optimizer's mean of the gradients goes."""
    step: Stepped | None = None
    tried: Tried | None = None
    falls: bool = False
    """The loss was seen to fall after one step at its full momentum, as far as it can be told."""
    undecided: bool = False
    """Further steps may still be tried, so what is near a limit is not yet called."""
    doubts: tuple[str, ...] = ()
    """What further steps would tell, where none were tried: words that follow "whether"."""
    dependence: float | None = None
    """The p-value of "targets are independent of inputs"; `None` where not tested."""
    squashed: Squashed | None = None
    """What the range of the answers costs, where the network ends in something narrow."""
    shifted: float | None = None
    """The loss where the best constant is added to every answer; known where it is large."""
    unpaired: bool = False
    """The loss is the same whichever target belongs to which sample."""
    distance: float = 0.0
    """How many times larger the targets of a regression are than the answers."""
    alike: tuple[str, ...] = ()
    """Layers all of whose units have the same weights."""
    over_two: tuple[str, ...] = ()
    """Batch normalisations that see two numbers for each channel."""
    same_targets: bool = False
    """One constant answer is right for the whole batch."""
    rare: bool = False
    """They are one of two, of which the other may be rare."""
    unregistered: tuple[tuple[str, int], ...] = ()
    """Name and size of weights that get a gradient, and that neither the model nor the optimizer
    knows of."""
    order: bool = False
    """Whether the answers depend on the order in which the samples of a batch come."""
    starved: tuple[str, ...] = ()
    """Layers that read nothing but zeros, whatever the sample."""
    sizes: tuple[float, ...] = ()
    """Root mean square of each layer's output, in the order of `layers`."""
    starts: tuple[Start, ...] = ()
    """How the layers start and should."""
    places: tuple[tuple[tuple[str, str], ...], ...] = ()
    """Where skips would go, by chain."""
    gradient: float = 0.0
    """Norm of the whole gradient."""
    decay: float = 0.0
    """Weight decay of the optimizer, the largest of its groups."""
    meant: tuple[tuple[str, float], ...] = ()
    """Layer and the size of its step over its weights, without rounding and decay."""
    branches: tuple[Branch, ...] = ()
    """What the branches beside skips do."""
    unchanged: tuple[tuple[str, int], ...] = ()
    """Layer and how many of its weights the step left exactly as they were."""

    @property
    def learning_rate(self) -> float | None:
        """The learning rate, of several optimizers the one that stands for all."""
        return None if self.rates is None else self.rates.reference

    def own_rate(self, tried: Tried) -> float:
        """The rate in whose place another one was tried, NaN without one."""
        return math.nan if self.rates is None else self.rates.at(tried.part)

    @property
    def rate_words(self) -> str:
        """The learning rates after "At" or "to"."""
        return "a learning rate of 0" if self.rates is None else self.rates.phrase()

    @property
    def reached(self) -> tuple[LayerReading, ...]:
        """The layers that are meant to get a gradient."""
        aside = {*self.frozen, *self.cut_calls}
        return tuple(layer for layer in self.layers if layer.name not in aside)

    @property
    def worst(self) -> LayerReading:
        """The layer that lost the most decades."""
        return max(self.reached or self.layers, key=lambda layer: layer.decades_lost)

    @property
    def dying(self) -> tuple[LayerReading, ...]:
        """The layers that count as dying, in execution order."""
        need = limit.RELATIVE_DYING if self.relative else limit.DYING
        return tuple(
            layer
            for layer in self.reached
            if layer.decades_lost > need and (self.relative or layer.elasticity < limit.WEAK)
        )

    @property
    def hardly_dying(self) -> bool:
        """Whether the layers that count as dying do so by little; only steps can tell then."""
        return bool(self.dying) and all(
            layer.elasticity > limit.SURELY_DYING and math.isfinite(layer.decades_lost)
            for layer in self.dying
        )

    @property
    def hardly_collapsed(self) -> bool:
        """Whether what the last layer reads tells samples apart, by next to nothing."""
        return self.collapsed and (self.arriving or 0.0) > limit.SURELY_COLLAPSED

    @property
    def learns(self) -> bool:
        """Whether steps on a copy, at the optimizer's rate or another, take the loss down."""
        if self.tried is None:
            return False
        best = min(self.tried.end, self.tried.best_end)
        return best <= self.level - (1 - limit.BETTER) * abs(self.level)

    @property
    def bearable(self) -> bool:
        """Whether what is near a limit is not what stops this training, or that is not known yet.

        Where decay outweighs the gradient no steps show what the gradient would do.
        """
        decays = self.step is not None and self.step.decay >= limit.DECAY
        return self.undecided or decays or self.learns

    @property
    def dying_beside(self) -> bool:
        """Whether all layers that count as dying lie beside a way that is whole.

        A recurrent network that has no need of the first steps looks like one that cannot reach
        them, and a branch may be of use or not; only what the network learns can tell.
        """
        return bool(self.dying) and self.passable and not self.collapsed

    @property
    def branch_in_doubt(self) -> bool:
        """Whether layers beside a whole way get no gradient, and may be missed or not."""
        return self.dying_beside or (bool(self.cut_off) and self.cut_beside)

    @property
    def collapsed(self) -> bool:
        """Whether what the last layer reads hardly tells the samples apart."""
        return self.arriving is not None and self.arriving < limit.COLLAPSED

    @property
    def level(self) -> float:
        """The loss that a training has to get below: where it starts, or that of a constant."""
        if self.chance is None or self.relative:
            return self.loss
        return min(self.loss, self.chance)

    @property
    def undecided_labels(self) -> bool:
        """Whether only a larger batch can tell if the labels say anything about the inputs."""
        few = self.batch < 2 * limit.ENOUGH_SAMPLES
        return few and limit.INDEPENDENT <= (self.dependence or 0.0) < limit.UNDECIDED

    @property
    def far_off(self) -> bool:
        """Whether the targets are of another size than the answers, by thousands."""
        return self.distance > limit.FAR_OFF

    @property
    def starved_at(self) -> int | None:
        """The place of the first layer that reads only zeros, behind one that answers something.

        What starts at zero, or is zero, has findings of its own.
        """
        names = [layer.name for layer in self.layers]
        at = next((i for i, name in enumerate(names) if i and name in self.starved), None)
        if at is None or self.zero_started or not self.sizes[at - 1] > 0:
            return None
        before = self.layers[:at]
        lost = any(layer.elasticity == 0 for layer in before)
        return at if lost and all(layer.weight > 0 for layer in before) else None

    @property
    def unanswered(self) -> bool:
        """Whether the loss sends a gradient of exactly zero to whatever the layers answer."""
        return self.loss != 0 and all(layer.output_gradient == 0 for layer in self.layers)

    @property
    def drowned(self) -> bool:
        """Whether the answers tell passes apart rather than samples."""
        return self.noise > limit.DROWNED

    @property
    def zero_throughout(self) -> bool:
        """Whether all that is free to learn is zero and so gets a gradient of zero."""
        free = [layer for layer in self.layers if layer.trainable]
        return bool(free) and all(layer.weight == 0 == layer.gradient for layer in free)

    @property
    def by_plan(self) -> bool:
        """Whether a schedule means the rate to be as small as it is, as far as can be told."""
        return self.plan is not None and self.plan.explains(self.skill)

    @property
    def held_back(self) -> bool:
        """Whether layers that cannot move, or hardly, may hold the others back."""
        return bool(self.frozen or self.unheld or self.slow)

    @property
    def weakest(self) -> LayerReading:
        """The layer whose weights get the smallest gradient."""
        return min(self.reached or self.layers, key=lambda layer: layer.gradient)

    @property
    def judged_by_depth(self) -> bool:
        """Whether the network has enough layers for depth to be the cause."""
        return len(self.layers) >= limit.DEEP
