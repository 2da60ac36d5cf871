"""The chain rule is held against autograd; the prediction against random matrices."""

from __future__ import annotations

import math
from itertools import pairwise
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from skipway.learn._marking import Wrong, expect, function, number, seeded
from skipway.learn._picture import Picture, lines

DEPTH, WIDTH = 30, 48


def check(answer: ModuleType) -> None:
    """Check the chain rule, then the two predictions."""
    _check_norms(function(answer, "gradient_norms"))
    _check_factor(function(answer, "factor"))
    _check_layers(function(answer, "layers_until"))


def _network(std: float = 0.12) -> tuple[list[Tensor], Tensor, Tensor]:
    draw = seeded()
    weights = [torch.randn(WIDTH, WIDTH, generator=draw).double() * std for _ in range(DEPTH)]
    x, gradient = (torch.randn(WIDTH, generator=draw).double() for _ in range(2))
    return weights, 3 * x, gradient


def _by_autograd(weights: list[Tensor], x: Tensor, gradient: Tensor) -> Tensor:
    outputs = [x.clone().requires_grad_()]
    for weight in weights:
        outputs.append(torch.tanh(weight @ outputs[-1]))
    found = torch.autograd.grad(outputs[-1], outputs, gradient)
    return torch.stack([each.norm() for each in found])


def _by_hand(weights: list[Tensor], x: Tensor, gradient: Tensor, step: Any) -> Tensor:
    """Go back with `step(weight, input, output, gradient)` in the place of the chain rule."""
    outputs = [x]
    for weight in weights:
        outputs.append(torch.tanh(weight @ outputs[-1]))
    norms = [gradient.norm()]
    for weight, (before, after) in zip(weights[::-1], pairwise(outputs[::-1]), strict=True):
        gradient = step(weight, after, before, gradient)
        norms.append(gradient.norm())
    return torch.stack(norms[::-1])


def _check_norms(gradient_norms: Any) -> None:
    weights, x, gradient = _network()
    with torch.no_grad():
        try:
            got = gradient_norms([w.clone() for w in weights], x.clone(), gradient.clone())
        except RuntimeError as error:
            if "does not require grad" in str(error):
                raise Wrong(
                    "Autograd is switched off here: this once, multiply the factors of the chain "
                    "rule yourself."
                ) from error
            raise
    norms = _numbers(got)
    right = _by_autograd(weights, x, gradient)
    if len(norms) == DEPTH:
        raise Wrong(
            f"You returned {DEPTH} norms for {DEPTH} layers. There are {DEPTH + 1}: one at the "
            "input, and one after each layer, the given gradient's included."
        )
    # One after another, so that each norm is judged at its own size.
    scale = right.log10()
    logs = torch.tensor([math.log10(max(value, 1e-300)) for value in norms]).double()
    found = _mistakes(weights, x, gradient, right)
    mistakes = {sentence: value.log10() for sentence, value in found.items()}
    expect(
        logs, scale, mistakes, "The norms are not the ones that autograd finds: at the input you "
        f"have {norms[0]:.3g}, and it has {float(right[0]):.3g}.", 1e-6,
    )  # fmt: skip


def _numbers(got: object) -> list[float]:
    if got is None:
        raise Wrong("gradient_norms returned None. Is a `return` missing?")
    if not isinstance(got, (list, tuple, Tensor)):
        raise Wrong(f"gradient_norms returned a {type(got).__name__}; it should be a list.")
    if any(isinstance(each, Tensor) and each.numel() > 1 for each in got):
        raise Wrong("The list holds vectors, the gradients themselves. Return the norm of each.")
    return [number(each, "A place in the list of gradient_norms") for each in got]


def _mistakes(
    weights: list[Tensor], x: Tensor, gradient: Tensor, right: Tensor
) -> dict[str, Tensor]:
    def wrong(step: Any) -> Tensor:
        return _by_hand(weights, x, gradient, step)

    return {
        "The order is turned around: the norm at the input comes first.": right.flip(0),
        "The derivative of tanh is missing: (1 - h^2), before W^T is applied.": wrong(
            lambda w, h_in, h, g: w.T @ g
        ),
        "You multiplied by W on the way back. Going back it is W^T: entry i of the input "
        "reached every output through column i.": wrong(lambda w, h_in, h, g: w @ ((1 - h**2) * g)),
        "You took tanh of h once more: h is the output, it is tanh(z) already, so the derivative "
        "is 1 - h^2.": wrong(lambda w, h_in, h, g: w.T @ ((1 - torch.tanh(h) ** 2) * g)),
        "You used 1 - h^2 of the layer's input; it is the layer's output that counts.": wrong(
            lambda w, h_in, h, g: w.T @ ((1 - h_in**2) * g)
        ),
        "You applied W^T first and the derivative of tanh afterwards. Going back, tanh was the "
        "last thing and so comes first.": wrong(lambda w, h_in, h, g: (1 - h**2) * (w.T @ g)),
        "Those are the norms of the gradient squared: take the root.": right.square(),
    }


def _check_factor(factor: Any) -> None:
    for width, std in ((48, 0.12), (100, 0.05), (16, 0.25)):
        got, right = number(factor(width, std), "factor"), _measured(width, std)
        if abs(got - right) <= 0.03 * right:
            continue
        case = f"factor({width}, {std:g})"
        if abs(got - std * width) < 1e-6:
            raise Wrong(
                f"{case}: you added {width} numbers of size {std:g} as if all had the same sign. "
                "They do not; their squares add up, so it grows with the root of the width."
            )
        if abs(got - std) < 1e-9:
            raise Wrong(f"{case}: you left the width out: {width} products are added up.")
        if abs(got - std**2 * width) < 1e-9:
            raise Wrong(f"{case}: that is the factor of the squared norm; take its root.")
        raise Wrong(
            f"{case}: random matrices of this kind change the norm by {right:.3g}, not {got:.3g}."
        )


def _measured(width: int, std: float) -> float:
    """Return by what factor random matrices change a norm, over 500 of them (to about 1 %)."""
    draw = seeded(2)
    matrices = std * torch.randn(500, width, width, generator=draw).double()
    gradients = torch.randn(500, width, 1, generator=draw).double()
    after = (matrices.mT @ gradients).square().sum((1, 2))
    return math.sqrt(float((after / gradients.square().sum((1, 2))).mean()))


def _check_layers(layers_until: Any) -> None:
    for each, size in ((0.5, 1e-15), (0.58, 1e-15), (0.9, 1e-3), (0.25, 1e-7)):
        got, right = number(layers_until(each, size), "layers_until"), 0
        while each**right > size:
            right += 1
        case = f"layers_until({each:g}, {size:g})"
        if got == right:
            continue
        if abs(got - right) < 1:
            raise Wrong(f"{case}: a whole number of layers, please: {right}, not {got:.4g}.")
        if got in (right - 1, right + 1):
            raise Wrong(
                f"{case}: you are one layer off. {right - 1} layers leave "
                f"{each ** (right - 1):.3g}, {right} leave {each**right:.3g}."
            )
        if got < 0:
            raise Wrong(f"{case}: you returned {got:g}. Both logarithms are negative: divide them.")
        raise Wrong(f"{case}: {right} layers leave {each**right:.3g}; you say {got:g}.")


def picture(answer: ModuleType) -> Picture:
    """Draw the learner's norms beside the learner's prediction."""
    weights, x, gradient = _network(std := 0.07)
    with torch.no_grad():
        measured = [float(norm) for norm in answer.gradient_norms(weights, x, gradient)]
    step, start = float(answer.factor(WIDTH, std)), measured[-1]
    predicted = [start * step ** (DEPTH - depth) for depth in range(DEPTH + 1)]
    return lines(
        "The gradient on its way back, from the output at the right to the input at the left.",
        {"you measured": measured, "you predicted": predicted},
        x=range(DEPTH + 1), x_name="depth", y_name="norm of the gradient", log=True,
    )  # fmt: skip
