"""Held against the same layers in a literal order; then the gradient, and odd sizes."""

from __future__ import annotations

import re
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from skipway.learn._marking import Mistakes, Wrong, agree, expect, function, tensor
from skipway.learn._picture import Picture, lines

STEPS = 60


def check(answer: ModuleType) -> None:
    """Check an even size exactly, the gradient, and odd sizes by their shape."""
    torch.manual_seed(9)
    net = function(answer, "UNet")()
    x = torch.randn(2, 1, 8, 12)
    got = tensor(_forward(net, x), "forward")
    _check_value(net, x, got)
    _check_gradient(net, x, got)
    for size in ((9, 12), (8, 13), (7, 11)):
        odd = torch.randn(2, 1, *size)
        _check_odd(net, odd)


def _reference(
    net: Any, x: Tensor, *, swap: bool = False, skips: Any = lambda skip, below: skip
) -> Tensor:
    """The network in a literal order; `skips` says what goes over the long skips."""

    def join(skip: Tensor, below: Tensor) -> Tensor:
        pair = [skips(skip, below), below]
        return torch.cat(pair[::-1] if swap else pair, 1)

    fine = net.encode1(x).relu()
    coarse = net.encode2(net.pool(fine)).relu()
    below = net.up(net.bottom(net.pool(coarse)).relu())
    below = net.up(net.decode2(join(coarse, below)).relu())
    result: Tensor = net.decode1(join(fine, below))
    return result


def _forward(net: Any, x: Tensor) -> object:
    try:
        return net(x)
    except RuntimeError as error:
        channels = re.search(r"to have (\d+) channels, but got (\d+)", str(error))
        if channels:
            raise Wrong(_why_channels(*map(int, channels.groups()))) from error
        if "Sizes of tensors must match" in str(error):
            raise Wrong(
                "What you concatenate has different sizes. Take the encoder's features before they "
                "are pooled, bring what comes from below up with self.up, and join what belongs to "
                "the same level; along the channels, dimension 1."
            ) from error
        raise


def _why_channels(wanted: int, got: int) -> str:
    name = {16: "decode2", 8: "decode1"}.get(wanted, "a convolution")
    if wanted in (16, 8) and got == wanted // 2:
        return (
            f"{name} reads {wanted} channels and was given {got}: half of them come from the "
            "encoder over the long skip, half from below. Concatenate both along dimension 1; a "
            "sum, or one of them alone, has half as many."
        )
    return f"A convolution that reads {wanted} channels was given {got}. Which belongs there?"


def _check_value(net: Any, x: Tensor, got: Tensor) -> None:
    def zeros(skip: Tensor, below: Tensor) -> Tensor:
        return torch.zeros_like(skip)

    with torch.no_grad():
        right = _reference(net, x)
        never = "The encoder's features never arrive at the decoder: "
        mistakes: Mistakes = {
            never + "what comes from below is in there twice.": _reference(
                net, x, skips=lambda skip, below: below
            ),
            never + "there are zeros in their place.": _reference(net, x, skips=zeros),
            "The order is turned around: the encoder's features come first.": _reference(
                net, x, swap=True
            ),
            "There is a ReLU behind decode1; the output has none.": right.relu(),
            "A ReLU is missing: one belongs behind every convolution but the last.": (
                _without_relu(net, x)
            ),
            "The images never get smaller: self.pool on the way down, self.up on the way "
            "back.": _without_pooling(net, x),
        }
        expect(
            got, right, mistakes, "forward does not give what these layers give in the order of "
            "the drawing. Is there a ReLU behind each but the last, and each skip at its level?",
        )  # fmt: skip


def _without_relu(net: Any, x: Tensor) -> tuple[Tensor, ...]:
    found = []
    every = ("encode1", "encode2", "bottom", "decode2")
    for without in (*((name,) for name in every), every):
        parts = {
            name: getattr(net, name)
            if name in without
            else nn.Sequential(getattr(net, name), nn.ReLU())
            for name in every
        }
        fine = parts["encode1"](x)
        coarse = parts["encode2"](net.pool(fine))
        below = net.up(parts["bottom"](net.pool(coarse)))
        below = net.up(parts["decode2"](torch.cat([coarse, below], 1)))
        found.append(net.decode1(torch.cat([fine, below], 1)))
    return tuple(found)


def _without_pooling(net: Any, x: Tensor) -> Tensor:
    fine = net.encode1(x).relu()
    coarse = net.encode2(fine).relu()
    below = net.decode2(torch.cat([coarse, net.bottom(coarse).relu()], 1)).relu()
    result: Tensor = net.decode1(torch.cat([fine, below], 1))
    return result


def _check_gradient(net: Any, x: Tensor, got: Tensor) -> None:
    weights = torch.randn_like(got)
    right = torch.autograd.grad(_reference(net, x), list(net.parameters()), weights)
    found = torch.autograd.grad(got, list(net.parameters()), weights, allow_unused=True)
    if any(a is None or not agree(a, b) for a, b in zip(found, right, strict=True)):
        raise Wrong(
            "The values are right, but not the gradient. Are the encoder's features detached on "
            "the long skip? It is the encoder's shortest path."
        )


def _check_odd(net: Any, x: Tensor) -> None:
    size = f"{x.shape[2]} x {x.shape[3]}"
    try:
        got = net(x)
    except RuntimeError as error:
        raise Wrong(
            f"Even sizes are right; an image of {size} is not yet: {str(error).split('.')[0]}. "
            "Make what comes from below as large as the encoder's features before you join them."
        ) from error
    if got.shape != x.shape:
        raise Wrong(
            f"An image of {size} comes out as {got.shape[2]} x {got.shape[3]}. Bring what comes "
            "from below to the encoder's size, not the encoder's features to its size."
        )


def _shapes(draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return images of rectangles, and their outlines."""
    images = torch.zeros(16, 1, 16, 16)
    for image in images:
        top, left = torch.randint(1, 7, (2,), generator=draw).tolist()
        height, width = torch.randint(4, 8, (2,), generator=draw).tolist()
        image[0, top : top + height, left : left + width] = 1
    inside = -nn.functional.max_pool2d(-images, 3, stride=1, padding=1)
    return images, images - inside


def picture(answer: ModuleType) -> Picture:
    """Train the learner's network to draw outlines, and the same without what the skips bring."""
    rows = {"with your long skips": _losses(answer, True), "without": _losses(answer, False)}
    return lines(
        "The loss while the network learns to draw the outline of shapes.", rows,
        x=range(1, STEPS + 1), x_name="steps", y_name="loss",
    )  # fmt: skip


def _losses(answer: ModuleType, skips: bool) -> list[float]:
    torch.manual_seed(9)
    net, draw = answer.UNet(), torch.Generator().manual_seed(9)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    losses = []
    for _ in range(STEPS):
        images, outlines = _shapes(draw)
        output = net(images) if skips else _reference(net, images, skips=lambda s, b: 0 * s)
        loss = nn.functional.mse_loss(output, outlines)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses
