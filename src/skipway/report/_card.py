"""The card in the margin: the numbers of one layer, before and after, and a sentence on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ._values import (
    NONE,
    STATES,
    decades,
    plural,
    quantity,
    real,
    sentence,
    share,
    short,
)

Reading = Mapping[str, Any]

# Label, and how the number is written.
_FIELDS: tuple[tuple[str, Callable[[Reading], str]], ...] = (
    ("Elasticity <i>E</i>", lambda layer: short(layer["elasticity"])),
    ("<i>E</i> of this branch alone", lambda layer: short(layer["branch_elasticity"])),
    ("<i>E</i> of the weights", lambda layer: short(layer["weight_elasticity"])),
    ("Decades lost", lambda layer: lost_of(layer)),
    ("Gradient ‖∂L/∂W‖", lambda layer: short(layer["gradient"])),
    ("Gradient ‖∂L/∂h‖", lambda layer: short(layer["output_gradient"])),
    ("Weights ‖W‖", lambda layer: short(layer["weight"])),
    ("Step ‖ΔW‖ / ‖W‖", lambda layer: short(layer.get("step"))),
    ("Loss removed by it", lambda layer: short(layer.get("progress"))),
    ("Weights moved", lambda layer: _moved(layer)),
    ("Around it, over skips", lambda layer: share(layer.get("around"))),
    ("Via the skip", lambda layer: short(layer.get("via_skip"))),
    ("Via the branch", lambda layer: short(layer.get("via_branch"))),
    ("Decades between batches", lambda layer: decades(layer.get("spread"))),
    ("Alike at neighbours", lambda layer: short(layer.get("alike"))),
    ("Signal left", lambda layer: short(layer.get("signal"))),
    ("Silent units", lambda layer: share(layer.get("silent"))),
    ("Saturated", lambda layer: share(layer.get("saturated"))),
)


def labels(sides: Sequence[Sequence[Reading | None]]) -> list[int]:
    """Return which fields any layer of any side has."""
    readings = [layer for side in sides for layer in side if layer is not None]
    return [
        at
        for at, (_, write) in enumerate(_FIELDS)
        if any(write(layer) != NONE for layer in readings)
    ]


def label(field: int) -> str:
    """Return the label of a field, as HTML."""
    return _FIELDS[field][0]


def numbers(layer: Reading | None, fields: Sequence[int]) -> list[str]:
    """Write the numbers of one layer on one side."""
    return [NONE if layer is None else _FIELDS[field][1](layer) for field in fields]


def words(layers: Sequence[Reading | None], said: str) -> str:
    """Say in a sentence what happens to a layer's weights, before and after.

    Args:
        layers: its numbers on each side.
        said: how the sentence on the second side begins.
    """
    before = layers[0]
    after = layers[1] if len(layers) > 1 else None
    if before is None:
        return f"New in the rewired network. {_sentence(after)}" if after else ""
    told = _sentence(before)
    if after is not None:
        told += f" {said}: {_counts(after)}."
    return told


# Why a layer has its colour; the numbers stand beside it.
_WHY = {
    "arrives": "less than 1 decade is lost between the loss and this layer",
    "fading": "1 to 2 decades are lost between the loss and this layer",
    "dying": "more than 2 decades are lost between the loss and this layer",
    "still": "every update of a weight that has a gradient rounds away",
    "broken": "NaN or infinity takes part in it",
}


def why(layers: Sequence[Reading | None], columns: Sequence[str]) -> str:
    """Say why a layer is coloured as it is, on each side that has it.

    Args:
        layers: its numbers on each side.
        columns: what the sides are called.
    """
    told = [
        f"{f'{column}: ' if len(layers) > 1 else ''}{STATES[layer['state']][1]}, "
        f"because {_WHY[layer['state']]}."
        for layer, column in zip(layers, columns, strict=True)
        if layer is not None
    ]
    return " ".join(sentence(each) for each in told)


def what_if(layers: Sequence[Reading | None], called: Mapping[str, str]) -> str:
    """Say what would arrive at a layer if a skip started there; nothing where none could.

    Args:
        layers: its numbers on each side.
        called: how the layers' names are shortened beside it.
    """
    layer = layers[0]
    if layer is None or layer.get("with_skip") is None:
        return ""
    number, to = short(layer["with_skip"]), str(layer["skip_to"])
    to, now = called.get(to, to), short(layer["elasticity"])
    return f"What if a skip started here? Led to {to}, E here would be {number} instead of {now}."


def _sentence(layer: Reading) -> str:
    if not layer.get("trainable", True):
        return "This layer is not trained: it is frozen, or the optimizer does not hold it."
    gradient, moved = int(layer["with_gradient"]), layer.get("moved")
    if gradient == 0:
        return f"None of its {plural(int(layer['weights']), 'weight')} has a gradient."
    weights = plural(gradient, "weight")
    if moved is None:
        return f"{weights} of {quantity(layer['weights'])} have a gradient."
    moves = {0: "none moves", gradient: "all move"}.get(int(moved), f"{quantity(moved)} move")
    return f"Of {weights} with a gradient, {moves} at this step."


def _counts(layer: Reading) -> str:
    moved = layer.get("moved")
    if moved is None:
        return f"{quantity(layer['with_gradient'])} have a gradient"
    return f"{quantity(moved)} of {quantity(layer['with_gradient'])}"


def lost_of(layer: Reading) -> str:
    """Write the decades that a layer loses: not a number's are none."""
    return "NaN" if layer["state"] == "broken" else decades(layer["decades_lost"])


def _moved(layer: Reading) -> str:
    moved, gradient = layer.get("moved"), int(layer["with_gradient"])
    if moved is None:
        return NONE
    return share(int(moved) / gradient) if gradient else "0 %"


class StringTable:
    """Strings that occur again and again, written once."""

    def __init__(self) -> None:
        self.strings: list[str] = []
        self._index: dict[str, int] = {}

    def put(self, text: str) -> int:
        """Return the index of a string, new or known."""
        if text not in self._index:
            self._index[text] = len(self.strings)
            self.strings.append(text)
        return self._index[text]


def type_of(layers: Sequence[Reading | None]) -> str:
    """Return the type of the first side that knows the layer."""
    return next((str(layer["type"]) for layer in layers if layer is not None), "")


def weakest(layers: Sequence[Reading]) -> int:
    """Return which layer lost the most."""
    lost = [real(layer["decades_lost"]) or 0.0 for layer in layers]
    return max(range(len(lost)), key=lost.__getitem__)
