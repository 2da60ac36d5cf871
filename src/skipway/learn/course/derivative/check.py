"""Held against autograd on layers that have the given slopes."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from skipway.learn._marking import Wrong, expect, function, seeded, tensor
from skipway.learn._picture import Picture, lines

LAYERS, WIDTH = 5, 4


def check(answer: ModuleType) -> None:
    """Check the three functions in the order of the file, then 1,000 layers."""
    _check_plain(function(answer, "plain"))
    _check_residual(function(answer, "residual"))
    _check_layer(function(answer, "residual_layer"))
    _check_depth(function(answer, "residual"))


def _given() -> tuple[Tensor, list[Tensor]]:
    draw = seeded()
    slopes = [0.7 * torch.randn(WIDTH, generator=draw).double() for _ in range(LAYERS)]
    return torch.randn(WIDTH, generator=draw).double(), slopes


def _by_autograd(gradient: Tensor, slopes: list[Tensor], skip: bool) -> Tensor:
    x = y = torch.ones_like(gradient).requires_grad_()
    for slope in slopes:
        y = y + slope * y if skip else slope * y
    return torch.autograd.grad(y, x, gradient)[0]


def _check_plain(plain: Any) -> None:
    gradient, slopes = _given()
    got = tensor(plain(gradient.clone(), [s.clone() for s in slopes]), "plain", (WIDTH,))
    product = torch.stack(slopes).prod(0)
    mistakes = {
        "plain is the one without a skip: its factors are f', without the 1.": gradient
        * (1 + torch.stack(slopes)).prod(0),
        "You left the gradient at the output out: the product starts with it.": product,
        "You added the slopes; the chain rule multiplies.": gradient * torch.stack(slopes).sum(0),
        "You used one layer only.": gradient * slopes[-1],
        "You used the first layer only.": gradient * slopes[0],
    }
    expect(
        got, _by_autograd(gradient, slopes, False), mistakes,
        "plain is not the gradient that autograd finds for y = f(x).",
    )  # fmt: skip


def _check_residual(residual: Any) -> None:
    gradient, slopes = _given()
    got = tensor(residual(gradient.clone(), [s.clone() for s in slopes]), "residual", (WIDTH,))
    every = torch.stack(slopes)
    mistakes = {
        "The 1 is missing: that is the gradient of the plain layers, y = f(x). The skip adds 1 to "
        "each slope.": gradient * every.prod(0),
        "You added the 1 once, at the end. Each of the layers has a skip of its own, so each "
        "factor is 1 + f'.": gradient * (1 + every.prod(0)),
        "You added the gradient once, at the end. Each of the layers has a skip, so each factor "
        "is 1 + f'.": gradient + every.prod(0),
        "You added 1 to the gradient; the 1 belongs to the slope: gradient * (1 + f').": _added_one(
            gradient, slopes
        ),
        "That is the first order only, 1 plus the sum of the slopes. The factors are multiplied, "
        "so products of slopes are in it too.": gradient * (1 + every.sum(0)),
        "You left the gradient at the output out: the product starts with it.": (1 + every).prod(0),
        "You added the slope to the gradient at each layer. The two are multiplied: "
        "gradient * (1 + f').": gradient + every.sum(0),
        "You used the last layer only.": gradient * (1 + slopes[-1]),
        "You used the first layer only.": gradient * (1 + slopes[0]),
        "You took 1 - f'; the derivative of x + f(x) is 1 + f'.": gradient * (1 - every).prod(0),
    }
    expect(
        got, _by_autograd(gradient, slopes, True), mistakes,
        "residual is not the gradient that autograd finds for y = x + f(x).",
    )  # fmt: skip


def _added_one(gradient: Tensor, slopes: list[Tensor]) -> Tensor:
    for slope in reversed(slopes):
        gradient = 1 + gradient * slope
    return gradient


def _check_layer(residual_layer: Any) -> None:
    draw = seeded(5)
    weight = 0.5 * torch.randn(WIDTH, WIDTH, generator=draw).double()
    x, gradient = (torch.randn(WIDTH, generator=draw).double() for _ in range(2))
    leaf = x.clone().requires_grad_()
    right = torch.autograd.grad(leaf + torch.tanh(weight @ leaf), leaf, gradient)[0]
    got = residual_layer(gradient.clone(), x.clone(), weight.clone())
    got = tensor(got, "residual_layer", (WIDTH,))
    h = torch.tanh(weight @ x)
    through = weight.T @ ((1 - h**2) * gradient)
    mistakes = {
        "That is what comes through tanh(W x) alone. What comes over the skip, the gradient "
        "itself, is missing.": through,
        "That is what comes over the skip alone; what comes through tanh(W x) is missing.": (
            gradient
        ),
        "You added the number 1. With matrices the 1 is the identity, which gives the gradient "
        "itself.": 1 + through,
        "You multiplied by W; going back it is W^T.": gradient + weight @ ((1 - h**2) * gradient),
        "The derivative of tanh is missing: (1 - h^2).": gradient + weight.T @ gradient,
        "You took 1 - x^2; the derivative of tanh is 1 - h^2 with h = tanh(W x).": gradient
        + weight.T @ ((1 - x**2) * gradient),
        "You multiplied the gradient by 1 plus what comes through; that has the gradient in it "
        "already.": gradient * (1 + through),
        "You applied W^T first and the derivative of tanh afterwards; tanh comes first on the way "
        "back.": gradient + (1 - h**2) * (weight.T @ gradient),
    }
    expect(
        got, right, mistakes,
        "residual_layer is not the gradient that autograd finds for y = x + tanh(W x).",
    )  # fmt: skip


def _check_depth(residual: Any) -> None:
    gradient = _given()[0]
    got = residual(gradient.clone(), [torch.zeros(WIDTH).double()] * 1000)
    if not torch.equal(got, gradient):
        raise Wrong(
            "Through 1,000 layers whose slopes are 0 the gradient should arrive unchanged, to the "
            f"last bit. Yours goes from {float(gradient[0]):.6g} to {float(got[0]):.6g}."
        )


def picture(answer: ModuleType) -> Picture:
    """Draw the learner's two products over depth, for the same slopes."""
    draw = seeded(1)
    slopes = [0.3 * (torch.rand(1, generator=draw).double() - 0.4) for _ in range(60)]
    one = torch.ones(1).double()
    depths = range(1, 61)
    rows = {
        "y = x + f(x)": [float(answer.residual(one, slopes[:n]).abs()) for n in depths],
        "y = f(x)": [float(answer.plain(one, slopes[:n]).abs()) for n in depths],
    }
    return lines(
        "A gradient of 1 after so many layers, the same slopes for both.", rows,
        x=depths, x_name="layers", y_name="gradient", log=True,
    )  # fmt: skip
