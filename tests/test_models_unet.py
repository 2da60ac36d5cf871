"""The U-Net against a literal transcription, at every size."""

from __future__ import annotations

import copy
import pickle
from collections import Counter
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

import skipway
from skipway import models
from skipway._errors import SkipwayError

CONVOLVE: dict[int, Any] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
SPREAD: dict[int, Any] = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
POOL: dict[int, Any] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}


def _count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _literal(network: nn.Module, x: Tensor, dims: int, depth: int, merge: str) -> Tensor:
    """Figure 1 of the paper without norms, from the state dict, for sizes that can be halved."""
    w = network.state_dict()

    def twice(h: Tensor, name: str) -> Tensor:
        for layer in (0, 2):
            own = w[f"{name}.{layer}.weight"], w[f"{name}.{layer}.bias"]
            h = CONVOLVE[dims](h, *own, padding=1).clamp(min=0)
        return h

    names = ["level" + ".below.body.level" * level for level in range(depth + 1)]
    waiting = []
    for name in names[:-1]:
        waiting.append(twice(x, f"{name}.encode"))
        x = POOL[dims](waiting[-1], 2)
    x = twice(x, names[-1])
    for name in reversed(names[:-1]):
        up = w[f"{name}.below.body.up.weight"], w[f"{name}.below.body.up.bias"]
        x, beside = SPREAD[dims](x, *up, stride=2), waiting.pop()
        x = {"concat": torch.cat([beside, x], 1), "add": beside + x, "plain": x}[merge]
        x = twice(x, f"{name}.decode")
    return CONVOLVE[dims](x, w["head.weight"], w["head.bias"])


@pytest.mark.parametrize("merge", ["concat", "add", "plain"])
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_it_is_the_papers_figure(dims: int, merge: Any) -> None:
    options = {"plain": True} if merge == "plain" else {"merge": merge}
    network = models.unet(2, 3, width=4, depth=2, dims=dims, norm=False, **options)
    x = torch.randn(2, 2, *(8, 12, 4)[:dims])
    torch.testing.assert_close(network(x), _literal(network, x, dims, 2, merge))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_every_size_comes_back(data: st.DataObject) -> None:
    dims = data.draw(st.integers(1, 3))
    sizes = data.draw(st.lists(st.integers(1, 11), min_size=dims, max_size=dims))
    depth = data.draw(st.integers(1, 4))
    merge = data.draw(st.sampled_from(["concat", "add"]))
    align = data.draw(st.sampled_from(["pad", "interpolate"]))
    plain = data.draw(st.booleans())
    network = models.unet(
        2, 3, width=2, depth=depth, dims=dims, merge=merge, align=align, plain=plain
    ).eval()  # fmt: skip
    x = torch.randn(2, 2, *sizes, requires_grad=True)
    y = network(x)
    assert y.shape == (2, 3, *sizes)
    y.sum().backward()
    assert torch.isfinite(y).all()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_each_level_has_a_long_skip_and_the_plain_twin_none(dims: int) -> None:
    x = torch.randn(2, 1, *(9,) * dims)
    for merge, kind in (("concat", "concatenation"), ("add", "identity")):
        network, plain = (
            models.unet(1, 2, width=2, depth=3, dims=dims, merge=merge, plain=plain)  # type: ignore[arg-type]
            for plain in (False, True)
        )
        assert Counter(s.kind for s in skipway.skips(network, x)) == {kind: 3}
        assert not skipway.skips(plain, x)
        lacks = sum(3**dims * (2 << level) ** 2 for level in range(3)) if merge == "concat" else 0
        assert _count(network) - _count(plain) == lacks


def test_the_papers_network_has_31_million_parameters() -> None:
    """Counted from its figure: 3 × 3 and 2 × 2 convolutions of these widths, with their biases."""
    double = [(1, 64), (64, 128), (128, 256), (256, 512), (512, 1024)]
    double += [(1024, 512), (512, 256), (256, 128), (128, 64)]
    expected = sum(9 * a * b + b + 9 * b * b + b for a, b in double)
    expected += sum(4 * 2 * b * b + b for b in (512, 256, 128, 64)) + 64 * 2 + 2
    with torch.device("meta"):
        assert _count(models.unet(1, 2, norm=False)) == expected


@pytest.mark.parametrize("options", [{}, {"merge": "add"}, {"plain": True}])
def test_copied_pickled_loaded_compiled_and_exported(options: dict[str, Any]) -> None:
    def build() -> models.UNet:
        return models.unet(2, 3, width=4, depth=2, **options)

    network, x = build(), torch.randn(2, 2, 7, 10)
    network(x).sum().backward()
    network.eval()
    expected, fresh = network(x), build().eval()
    fresh.load_state_dict(network.state_dict())
    copies = [copy.deepcopy(network), pickle.loads(pickle.dumps(network)), fresh]
    copies += [
        torch.export.export(network, (x,)).module(),
        torch.compile(network, backend="aot_eager", fullgraph=True),  # type: ignore[list-item]
    ]
    for other in copies:
        torch.testing.assert_close(other(x), expected)


def test_what_makes_no_sense_says_so() -> None:
    with pytest.raises(SkipwayError, match="dims=4"):
        models.unet(1, 2, dims=4)
    with pytest.raises(SkipwayError, match="'mul'"):
        models.unet(1, 2, merge="mul")  # type: ignore[arg-type]
    with pytest.raises(SkipwayError, match="'crop'"):
        models.unet(1, 2, align="crop")  # type: ignore[arg-type]
    with pytest.raises(SkipwayError, match="for depth, not 0"):
        models.unet(1, 2, depth=0)
    with pytest.raises(SkipwayError, match=r"for width, not 2\.5"):
        models.unet(1, 2, width=2.5)  # type: ignore[arg-type]
    with pytest.raises(SkipwayError, match="for num_classes, not 0"):
        models.unet(1, 0)
    with pytest.raises(SkipwayError, match="4 axes"):
        models.unet(1, 2, width=2)(torch.randn(1, 8, 8))
