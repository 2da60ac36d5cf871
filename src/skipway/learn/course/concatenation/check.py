"""The layer and the block are held against sums and joins of the learner's own convolutions."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from skipway.learn._marking import Mistakes, Wrong, agree, expect, function, number, tensor
from skipway.learn._picture import Picture, lines


def check(answer: ModuleType) -> None:
    """Check the layer, the block, and the two counts."""
    torch.manual_seed(7)
    _check_layer(function(answer, "DenseLayer"))
    _check_block(function(answer, "DenseBlock"))
    _check_channels(function(answer, "channels_after"))
    _check_parameters(function(answer, "parameters_of"))


def _check_layer(layer: Any) -> None:
    # As many new channels as there are: so every way to join the two is possible.
    net, x = layer(4, 4), torch.randn(2, 4, 6, 6)
    given = x.clone()
    got = tensor(net(given), "DenseLayer.forward").detach()
    if not torch.equal(given, x):
        raise Wrong(
            "The x that came in was changed: an in-place ReLU, before the other layers could read "
            "it? torch.relu(x) makes a new tensor."
        )
    new = net.conv(x.relu()).detach()
    mistakes = _mistakes(net, x, new)
    expect(
        got, torch.cat([x, new], 1), mistakes,
        "DenseLayer.forward does not return x and conv(relu(x)) along the channels.",
    )  # fmt: skip


def _mistakes(net: Any, x: Tensor, new: Tensor) -> Mistakes:
    return {
        "This concatenates the batch: 4 images come out of 2. The channels are dimension 1.": (
            torch.cat([x, new]),
            torch.cat([new, x]),
        ),
        "This puts the images side by side or on top of each other. The channels are dimension "
        "1.": tuple(torch.cat(pair, dim) for dim in (2, 3) for pair in ([x, new], [new, x])),
        "You added. Concatenate, so that both are still there.": x + new,
        "You returned the new channels alone; x is to be handed on in front of them.": new,
        "The new channels come first. Put x first: the layers that follow expect the channels in "
        "the order in which they were made.": torch.cat([new, x], 1),
        "You handed on relu(x) instead of x. The ReLU is only for the convolution's own "
        "input.": torch.cat([x.relu(), new], 1),
        "The ReLU before the convolution is missing.": torch.cat([x, net.conv(x).detach()], 1),
        "The ReLU belongs before the convolution, not behind it.": torch.cat(
            [x, net.conv(x).detach().relu()], 1
        ),
        "You concatenated x with itself; the second part is conv(relu(x)).": torch.cat([x, x], 1),
    }


def _check_block(block: Any) -> None:
    channels, growth, layers = 3, 4, 3
    net, x = block(channels, growth, layers), torch.randn(2, channels, 6, 6)
    convolutions = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
    _check_convolutions(convolutions, channels, growth, layers)
    got = tensor(net(x), "DenseBlock.forward").detach()
    right, made = x, []
    for convolution in convolutions:
        made.append(convolution(right.relu()).detach())
        right = torch.cat([right, made[-1]], 1)
    mistakes = {
        "DenseBlock returned the last layer's new channels alone. All that was made is handed "
        "on.": made[-1],
        "DenseBlock returned what the layers made, without its input in front.": torch.cat(made, 1),
        "DenseBlock returned its input. Does what a layer returns go into the next?": x,
        "DenseBlock used its first layer only. Does what a layer returns go into the next?": (
            torch.cat([x, made[0]], 1)
        ),
        "DenseBlock has the input in it twice.": torch.cat([x, right], 1),
    }
    if got.shape == right.shape and not agree(got, right) and agree(got.relu(), right.relu()):
        raise Wrong("DenseBlock handed on rectified channels; the ReLU is inside the layers.")
    expect(got, right, mistakes, "DenseBlock does not pass x through its layers in order.")


def _check_convolutions(found: list[nn.Conv2d], channels: int, growth: int, layers: int) -> None:
    name = f"DenseBlock({channels}, {growth}, {layers})"
    if not found:
        raise Wrong(
            f"{name} has no layers that PyTorch knows of. Keep them in an nn.ModuleList: a plain "
            "list hides their parameters from the optimizer."
        )
    if len(found) != layers:
        raise Wrong(f"{name} has {len(found)} convolutions; it should have {layers}.")
    for i, convolution in enumerate(found):
        wanted = channels + i * growth
        if convolution.in_channels != wanted:
            raise Wrong(
                f"{name}: layer {i} reads {convolution.in_channels} channels, but {wanted} come to "
                f"it: the block's {channels}, and {growth} from each of the {i} before it."
            )
        if convolution.out_channels != growth:
            raise Wrong(
                f"{name}: layer {i} makes {convolution.out_channels} channels, not {growth}."
            )


def _check_channels(channels_after: Any) -> None:
    for c, k, n in ((3, 4, 3), (24, 12, 16), (64, 32, 6)):
        got, right = number(channels_after(c, k, n), "channels_after"), c + n * k
        case = f"channels_after({c}, {k}, {n})"
        if got == n * k:
            raise Wrong(f"{case}: the block's input is handed on too: {right}, not {got:g}.")
        if got == c + k:
            raise Wrong(f"{case}: that is after one layer; each of {n} adds {k}.")
        if got == c * k**n or got == c + k**n:
            raise Wrong(f"{case}: channels are added, not multiplied: {right}.")
        if got != right:
            raise Wrong(f"{case} is {right}; you returned {got:g}.")


def _check_parameters(parameters_of: Any) -> None:
    for c, k, n in ((3, 4, 3), (24, 12, 16), (64, 32, 6)):
        got = number(parameters_of(c, k, n), "parameters_of")
        weights = sum(9 * (c + i * k) * k for i in range(n))
        right, case = weights + n * k, f"parameters_of({c}, {k}, {n})"
        if got == weights:
            raise Wrong(f"{case}: the biases are missing, {k} for each layer.")
        if got == n * (9 * c * k + k):
            raise Wrong(
                f"{case}: you counted {c} input channels for each layer; they read more and more."
            )
        if got == weights // 9 + n * k or got == weights // 9:
            raise Wrong(f"{case}: a 3 x 3 kernel has 9 weights for each pair of channels.")
        if got == sum(9 * (c + i * k) * k + k for i in range(1, n + 1)):
            raise Wrong(f"{case}: you are one layer ahead: the first reads {c} channels.")
        if got != right:
            raise Wrong(f"{case} is {right}; you returned {got:g}.")


def picture(answer: ModuleType) -> Picture:
    """Draw the learner's counts beside convolutions of the final width."""
    counts = range(1, 17)
    ends = [answer.channels_after(24, 12, n) for n in counts]
    rows = {
        "dense block, growth rate 12": [answer.parameters_of(24, 12, n) for n in counts],
        "plain, as wide as its end": [
            n * (9 * e * e + e) for n, e in zip(counts, ends, strict=True)
        ],
    }
    return lines(
        "Parameters of a block that starts with 24 channels.", rows, x=counts, x_name="layers",
        y_name="parameters (log scale)", log=True,
    )  # fmt: skip
