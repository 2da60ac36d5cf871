"""Held against `x + F(x)` computed from the learner's own layers, value and gradient."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skipway.learn._marking import Mistakes, Wrong, agree, expect, function, tensor
from skipway.learn._picture import Picture, lines

BATCH = 5


def check(answer: ModuleType) -> None:
    """Check the sum at both sizes, its gradient, and the size that would broadcast."""
    torch.manual_seed(172)
    net = function(answer, "Net")()
    _check_layers(net)
    for size in (4, 3):
        _check_sum(net, torch.randn(BATCH, 3, size, size))
    _check_gradient(net, torch.randn(BATCH, 3, 4, 4))
    _check_broadcast(net)


def _check_layers(net: Any) -> None:
    wanted = {"conv1.weight": (6, 3, 2, 2), "conv1.bias": (6,), "conv2.weight": (3, 6, 2, 2),
              "conv2.bias": (3,)}  # fmt: skip
    found = {name: tuple(p.shape) for name, p in net.named_parameters()}
    if found != wanted:
        raise Wrong(
            "The layers are no longer the ones that the exercise came with (conv1, relu1, conv2, "
            "relu2). Leave __init__ as it was and write forward only."
        )


def _inner(net: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return what enters the last ReLU, and F(x), from the parameters alone."""
    p = dict(net.named_parameters())
    first = F.conv2d(x, p["conv1.weight"], p["conv1.bias"], stride=2, padding=2).relu()
    last = F.conv2d(first, p["conv2.weight"], p["conv2.bias"], stride=2, padding=2)
    return last, last.relu()


def _without_relu(net: nn.Module, x: Tensor) -> Tensor:
    p = dict(net.named_parameters())
    first = F.conv2d(x, p["conv1.weight"], p["conv1.bias"], stride=2, padding=2)
    return F.conv2d(first, p["conv2.weight"], p["conv2.bias"], stride=2, padding=2)


def _check_sum(net: nn.Module, x: Tensor) -> None:
    with torch.no_grad():
        last, branch = _inner(net, x)
        given = x.clone()
        got = tensor(net(given), "forward")
        if not torch.equal(given, x):
            raise Wrong(_why_changed(given, x, got))
        mistakes = _mistakes(net, x, last, branch)
        expect(got, branch + x, mistakes, "forward does not return x + F(x).")


def _mistakes(net: nn.Module, x: Tensor, last: Tensor, branch: Tensor) -> Mistakes:
    return {
        "You returned F(x), not F(x) + x.": branch,
        "You returned x. Where is F(x)?": x,
        "You added F(x) to itself: `x` was overwritten on the way. Give the branch a name of "
        "its own, and x is still the input when you add.": branch + branch,
        "Between the last convolution and the sum a ReLU is missing: relu2.": last + x,
        "The ReLUs are missing: one behind each convolution.": _without_relu(net, x) + x,
        "relu1 is missing, behind the first convolution.": _without_relu(net, x).relu() + x,
        "You stacked the two (torch.stack makes a new dimension). Add them.": (
            torch.stack([x, branch]),
            torch.stack([branch, x]),
        ),
        "You added first and applied a ReLU to the sum. So did the first ResNet; here the sum "
        "comes last, so that nothing lies on the path of x.": (last + x).relu(),
        "There is one ReLU too many, behind the sum. The sum comes last, so that nothing lies "
        "on the path of x.": (branch + x).relu(),
        "You added relu(x), not x: something rectified the input on the skip.": (x.relu() + branch),
        "You returned F(x) - x; the skip is added.": branch - x,
        "You returned x - F(x); the skip is a sum.": x - branch,
        "You returned F(x) * x. A skip connection adds: what is multiplied by a small number "
        "vanishes.": branch * x,
        "You returned the mean of x and F(x). Half of x at each block is (1/2)^n after n of "
        "them: the plain sum.": (branch + x) / 2,
        "This concatenates the batch: 10 images come out of 5. Add the two instead.": (
            torch.cat([x, branch]),
            torch.cat([branch, x]),
        ),
        "This concatenates the channels: 6 come out of 3. That is for exercise 7; here it is "
        "a sum.": (torch.cat([x, branch], 1), torch.cat([branch, x], 1)),
    }


def _why_changed(given: Tensor, x: Tensor, got: Tensor) -> str:
    if agree(given, x.relu()):
        return (
            "Adding after an in-place ReLU changed the input: x itself has lost its negative "
            "values, in the caller's hands too. Use a ReLU that returns a new tensor."
        )
    if got.shape == given.shape and torch.equal(given, got):
        return (
            "You wrote the sum into x itself (`+=` or `add_`): the caller's input is changed, and "
            "in a training PyTorch would refuse. `x + ...` makes a new tensor."
        )
    return "forward changed the x that it was given. Leave the caller's tensor as it is."


def _check_gradient(net: nn.Module, x: Tensor) -> None:
    x.requires_grad_()
    weights = torch.randn_like(x)
    inside = [x, *net.parameters()]
    branch = _inner(net, x)[1]
    right = torch.autograd.grad(x + branch, inside, weights)
    out = net(x)
    if not out.requires_grad:
        raise Wrong("The values are right, but no gradient comes back at all. Is it detached?")
    got = torch.autograd.grad(out, inside, weights, allow_unused=True)
    if got[0] is None or agree(got[0], right[0] - weights):
        raise Wrong(
            "The values are right, but no gradient comes back over the skip: x is detached there "
            "(.detach(), .data, or under no_grad). That path is the point of it all."
        )
    if any(a is None or not agree(a, b) for a, b in zip(got, right, strict=True)):
        raise Wrong("The values are right, but the gradient of F is not. Is something detached?")


def _check_broadcast(net: nn.Module) -> None:
    x = torch.randn(BATCH, 3, 1, 1)
    try:
        with torch.no_grad():
            got = net(x)
    except Exception:
        return
    rest = (
        "For images of 3 x 3 and 4 x 4 all is right. Now compare the two shapes before you add, "
        "and raise a ValueError where they differ."
    )
    if isinstance(got, Tensor) and agree(got, x + _inner(net, x)[1]):
        shape = "x".join(map(str, got.shape[2:]))
        raise Wrong(f"The shapes broadcast: your output is {shape} from a 1x1 input. {rest}")
    raise Wrong(
        "From a 1x1 input, for which F(x) is 3x3, you return something, and nobody hears that no "
        f"sum was possible. {rest}"
    )


def picture(answer: ModuleType) -> Picture:
    """Draw the gradient in a stack of the learner's blocks, and of the same without the sum."""
    depth = 30
    torch.manual_seed(172)
    nets = [answer.Net() for _ in range(depth)]
    start = torch.randn(BATCH, 3, 4, 4)
    rows = {
        "with your skip": _gradients(nets, start),
        "without": _gradients([lambda x, net=net: _inner(net, x)[1] for net in nets], start),
    }
    return lines(
        f"The gradient through {depth} of these blocks, the input at the left.", rows,
        x=range(depth + 1), x_name="block", y_name="norm of the gradient", log=True,
    )  # fmt: skip


def _gradients(blocks: list[Any], x: Tensor) -> list[float]:
    outputs = [x.clone().requires_grad_()]
    for block in blocks:
        outputs.append(block(outputs[-1]))
    found = torch.autograd.grad(outputs[-1].sum(), outputs)
    return [float(each.norm()) for each in found]
