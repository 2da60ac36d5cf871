"""The numbers of one layer, and the skips that a network has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ._result import Result

State = Literal["arrives", "fading", "dying", "still", "broken"]
Kind = Literal["identity", "projection", "concatenation", "parallel", "merge"]


@dataclass(frozen=True)
class SkipConnection(Result):
    """A skip connection that a model has.

    Attributes:
        kind: identity, projection, concatenation, parallel or merge.
        source: the layer whose output is handed on, or `"input"`.
        destination: the layer after which it joins again.
        branch: the layers it goes around.
        shape: of the joined tensor.
        sources: the layers whose outputs are handed on: several in a dense block.
        source_shape: of the tensor where the ways part.
        merge: `"add"` or `"cat"`.
        module: the module in whose forward it joins; `""` is the model itself.
    """

    kind_of_result = "skip-connection"
    kind: Kind
    source: str
    destination: str
    branch: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    sources: tuple[str, ...] = ()
    source_shape: tuple[int, ...] = ()
    merge: Literal["add", "cat"] = "add"
    module: str = ""


@dataclass(frozen=True)
class LayerReading(Result):
    """The numbers of one weight layer, at one point of training.

    Norms are Euclidean, in float64, of whole tensors. `None` means that it cannot be known here
    (no optimizer, no such thing in this layer).

    Attributes:
        name: the layer, `module.path` or `module.path#call`.
        type: for readers, `"Linear 64 → 10"`.
        state: `arrives` (less than one decade of elasticity lost on the way back from the loss),
            `fading` (1 to 2), `dying` (more than 2), `still` (every update of a weight that has
            a gradient is lost), `broken` (NaN or infinity in its weights, gradient or output).
        elasticity: `||dL/dh|| * ||h|| / |L|` over everything alive at this depth: by what
            fraction the loss would change if the signal here changed by 100 %.
        branch_elasticity: the same of this layer's own output alone.
        weight_elasticity: `||dL/dW|| * ||W|| / |L|`.
        decades_lost: `log10` of the largest elasticity between here and the loss over this one; 0
            where that is not a number.
        gradient: `||dL/dW||`.
        output_gradient: `||dL/dh||` of the layer's own output.
        weight: `||W||`.
        step: `||dW|| / ||W||` of the step really taken.
        progress: the fraction of the loss that this layer's step removes, to first order.
        weights: how many numbers its weight holds.
        with_gradient: how many of them have a gradient that is not zero.
        moved: how many of those the step changed.
        signal: `||h - mean over the batch|| / ||h||`.
        silent: share of the following activation's units that are off on the whole batch: zero, or
            (GELU, SiLU and the like) with less than 1 % of its steepest slope.
        saturated: share of the following activation's values on its flat ends.
        via_skip: `||dL/dh||` that comes over a skip starting here.
        via_branch: `||dL/dh||` that comes through the branch beside that skip.
        around: the share of the (squared) elasticity at this depth that goes around this layer, in
            tensors that a skip carries past it; `None` where nothing does.
        spread: decades between the lowest and the highest elasticity over several batches.
        alike: correlation of `dL/dh` at neighbouring inputs, 1 where they are the same; measured
            with `shattering=True`.
        trainable: whether the weight requires a gradient and the optimizer holds it.
        with_skip: the elasticity if a skip led from here to `skip_to`, nothing else changed.
        skip_to: the last layer in series with this one whose output has the same shape.
    """

    kind_of_result = "layer"
    name: str
    type: str
    state: State
    elasticity: float
    branch_elasticity: float
    weight_elasticity: float
    decades_lost: float
    gradient: float
    output_gradient: float
    weight: float
    weights: int
    with_gradient: int
    step: float | None = None
    progress: float | None = None
    moved: int | None = None
    signal: float | None = None
    silent: float | None = None
    saturated: float | None = None
    via_skip: float | None = None
    via_branch: float | None = None
    trainable: bool = True
    with_skip: float | None = None
    skip_to: str | None = None
    around: float | None = None
    spread: float | None = None
    alike: float | None = None
