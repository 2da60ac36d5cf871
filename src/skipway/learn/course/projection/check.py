"""The shortcut is what forward adds to the body: its shape, its parameters, its linearity."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from skipway.learn._marking import Wrong, agree, expect, function, tensor
from skipway.learn._picture import Picture, bars

CASES = ((3, 8, 2), (4, 4, 1), (4, 4, 2), (3, 8, 1))


def check(answer: ModuleType) -> None:
    """Check blocks that change both, nothing, the size alone and the channels alone."""
    block = function(answer, "Block")
    for case in CASES:
        torch.manual_seed(6)
        net = block(*case)
        _check_body(net, *case)
        _check_block(net, torch.randn(2, case[0], 9, 9), case)


def _check_body(net: Any, channels: int, out: int, stride: int) -> None:
    convolutions = [m for m in getattr(net, "body", []) if isinstance(m, nn.Conv2d)]
    kept = [(c.in_channels, c.out_channels, c.stride[0]) for c in convolutions]
    if kept != [(channels, out, stride), (out, out, 1)]:
        raise Wrong("The body is no longer the one that the exercise came with.")


def _check_block(net: Any, x: Tensor, case: tuple[int, int, int]) -> None:
    name = "Block({}, {}, {})".format(*case)
    before = sum(p.numel() for p in net.parameters())
    body = net.body(x).detach()
    got = tensor(_forward(net, x, body, name), f"{name}.forward").detach()
    own = before - sum(p.numel() for p in net.body.parameters())
    if sum(p.numel() for p in net.parameters()) != before or (own == 0 and _varies(net, x)):
        raise Wrong(
            f"{name}: your projection is made in forward. The optimizer is built before, and will "
            "never train it. Make it in __init__."
        )
    if got.shape != body.shape:
        raise Wrong(
            f"{name} returns {tuple(got.shape)}; the body gives {tuple(body.shape)}, and so should "
            "the sum. Is something concatenated?"
        )
    if agree(got, body):
        raise Wrong(f"{name}: you returned the body alone. Add the shortcut.")
    if body.shape == x.shape:
        _check_identity(net, x, body, got, own, name)
    else:
        _check_projection(net, x, body, got, own, case, name)


def _forward(net: Any, x: Tensor, body: Tensor, name: str) -> object:
    try:
        return net(x)
    except AttributeError as error:
        if "'shortcut'" not in str(error):
            raise
        raise Wrong(f"{name}: You made no shortcut. Set self.shortcut in __init__.") from error
    except RuntimeError as error:
        shortcut = getattr(net, "shortcut", None)
        if "size of tensor" not in str(error) or not callable(shortcut):
            raise
        skip = shortcut(x)
        (c, h), (body_c, body_h) = skip.shape[1:3], body.shape[1:3]
        what = (
            f"{name}: the shortcut gives {c} channels of {h} x {h} and the body {body_c} of "
            f"{body_h} x {body_h}."
        )
        if skip.shape == body.shape:
            raise Wrong(
                f"{name}: self.shortcut(x) has the shape of the body, and yet the sum fails. Is it "
                "what you add?"
            ) from error
        if isinstance(shortcut, nn.Identity):
            raise Wrong(f"{what} Here the shapes differ, so the identity will not do.") from error
        if c == body_c:
            raise Wrong(f"{what} The shortcut needs the body's stride too.") from error
        raise Wrong(f"{what} The projection has to end with out_channels.") from error


def _varies(net: Any, x: Tensor) -> bool:
    """Whether the same input gives something else each time: a layer made anew in forward."""
    return not agree(net(x), net(x))


def _check_identity(net: Any, x: Tensor, body: Tensor, got: Tensor, own: int, name: str) -> None:
    if own:
        raise Wrong(
            f"{name} changes no shape: the identity is enough, and lets the gradient through as "
            f"it is. Yours has {own} parameters on the shortcut."
        )
    expect(
        got, x + body, {
            f"{name}: you returned the shortcut alone; add the body.": x,
            f"{name}: there is an activation behind the sum; leave it out.": (x + body).relu(),
            f"{name}: there is an activation on the shortcut; leave it out.": x.relu() + body,
        },
        f"{name} does not return x + body(x).",
    )  # fmt: skip


def _check_projection(
    net: Any, x: Tensor, body: Tensor, got: Tensor, own: int, case: tuple[int, int, int], name: str
) -> None:
    channels, out, _ = case
    skip = (got - body).double()
    if agree(skip, skip[:, :1].expand_as(skip)):
        raise Wrong(
            f"{name}: the shapes broadcast: one channel of the shortcut is added to all {out} of "
            "the body. The projection needs out_channels."
        )
    if agree(skip, skip[:, :, :1, :1].expand_as(skip)):
        raise Wrong(
            f"{name}: the shapes broadcast: one pixel of the shortcut is added to all of the "
            "body's. Give it the body's stride instead of one size."
        )
    if not own:
        raise Wrong(
            f"{name}: nothing on the shortcut can be trained. Slices, zeros and resizing fit "
            "shapes too; this exercise wants a projection, a 1 x 1 convolution."
        )
    if own > channels * out + 3 * out:
        raise Wrong(
            f"{name}: your shortcut has {own} parameters; a 1 x 1 convolution has "
            f"{channels * out}. A larger kernel is a second body, not a shortcut."
        )
    _check_linear(net, x, name)


def _check_linear(net: Any, x: Tensor, name: str) -> None:
    net.eval()  # a normalisation, if there is one, is linear then
    with torch.no_grad():
        at = [(net(v) - net.body(v)).double() for v in (x, 2 * x, -x, torch.zeros_like(x))]
    straight = agree(at[1] - at[3], 2 * (at[0] - at[3]), 1e-4)
    if not straight or not agree(at[2] - at[3], at[3] - at[0], 1e-4):
        raise Wrong(
            f"{name}: what you add to the body is not linear in x. Leave activations off the "
            "shortcut, and off the sum."
        )


def picture(answer: ModuleType) -> Picture:
    """Draw what the learner's projection costs beside the body."""
    net = answer.Block(64, 128, 2)
    body = sum(p.numel() for p in net.body.parameters())
    own = sum(p.numel() for p in net.parameters()) - body
    return bars(
        "The parameters of Block(64, 128, stride 2).",
        {"body": body, "a shortcut of 3 x 3": 9 * 64 * 128, "your shortcut": own},
        y_name="parameters",
    )  # fmt: skip
