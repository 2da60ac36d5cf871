"""Every option of a skip connection against a literal transcription of its formula."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import skipway.nn
from agreement import CONVOLUTIONS, Layout, agree, layouts, random_
from skipway.nn import ReZero, Skip, StochasticDepth


def product(weight: Tensor, features: list[Tensor]) -> list[Tensor]:
    """`W x`, sum by sum."""
    return [
        sum(weight[o, c] * features[c] for c in range(len(features))) for o in range(len(weight))
    ]


def at(x: Tensor, position: Iterable[int]) -> Tensor:
    """The features of every sample at one position."""
    return x[(slice(None), slice(None), *position)]


def option(kind: str, weight: Tensor | None, x: Tensor, out: int, stride: int, dims: int) -> Tensor:
    """He et al. 2015, section 3.3, position by position; D is He et al. 2018, figure 2c."""
    if not dims:
        return torch.stack(product(weight, x.unbind(-1)), -1)
    sizes = [math.ceil(size / stride) for size in x.shape[2:]]
    values = []
    for place in itertools.product(*map(range, sizes)):
        corner = [stride * i for i in place]
        value = at(x, corner)
        if kind == "D":
            ends = [min(i + stride, n) for i, n in zip(corner, x.shape[2:], strict=True)]
            window = list(itertools.product(*map(range, corner, ends)))
            value = sum(at(x, position) for position in window) / len(window)
        features = list(value.unbind(1))
        features = features if weight is None else product(weight, features)
        zeros = [torch.zeros_like(features[0])] * (out - len(features))
        values.append(torch.stack(features + zeros, 1))
    return torch.stack(values, -1).reshape(*values[0].shape, *sizes)


@pytest.mark.parametrize("kind", ["A", "B", "C", "D"])
@pytest.mark.parametrize("dims", [1, 2, 3])
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_the_shortcut_of_a_strided_skip(kind: str, dims: int, data: st.DataObject) -> None:
    torch.manual_seed(data.draw(st.integers(0, 2**16)))
    before, stride = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    after = data.draw(st.integers(before if kind == "A" else 1, 4))
    sizes = data.draw(st.lists(st.integers(1, 6 - dims), min_size=dims, max_size=dims))
    shortcut = skipway.nn.Shortcut(before, after, stride, kind=kind, dims=dims)
    body = CONVOLUTIONS[dims](before, after, 3, stride=stride, padding=1)
    skip = random_(Skip(body, shortcut=shortcut).double())
    mixes = {"A": False, "B": before != after or stride > 1, "C": True, "D": before != after}[kind]
    assert len(list(shortcut.parameters())) == mixes
    weight = shortcut.project.weight.flatten(1) if mixes else None
    agree(
        skip,
        lambda x: body(x) + option(kind, weight, x, after, stride, dims),
        torch.randn(2, before, *sizes, dtype=torch.float64),
    )


@settings(max_examples=15, deadline=None)
@given(layouts(), st.sampled_from("BCD"), st.integers(1, 4))
def test_a_shortcut_without_positions(layout: Layout, kind: str, after: int) -> None:
    layout = Layout(layout.input().movedim(layout.dim, -1).shape, -1)
    shortcut = skipway.nn.Shortcut(layout.features, after, kind=kind, dims=0)
    body = layout.branch(after=after)
    skip = random_(Skip(body, shortcut=shortcut).double())
    weights = list(shortcut.parameters())
    assert len(weights) == (kind == "C" or after != layout.features)

    def literal(x: Tensor) -> Tensor:
        return body(x) + (option(kind, weights[0], x, after, 1, 0) if weights else x)

    agree(skip, literal, layout.input())


@pytest.mark.parametrize("dims", [0, 1, 2, 3])
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_auto_finds_the_shortcut(dims: int, data: st.DataObject) -> None:
    torch.manual_seed(data.draw(st.integers(0, 2**16)))
    before, after = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    stride = data.draw(st.integers(1, 3)) if dims else 1
    sizes = data.draw(st.lists(st.integers(1, 5), min_size=dims, max_size=dims))
    if dims:  # One axis must tell the stride: 4 positions to 2 may be a stride of 2 or of 3.
        sizes[data.draw(st.integers(0, dims - 1))] = 2 * stride
    x = torch.randn(2, before, *sizes, dtype=torch.float64)
    if dims:
        body = CONVOLUTIONS[dims](before, after, 3, stride=stride, padding=1).double()
    else:
        body = nn.Linear(before, after).double()
    skip = Skip(body, shortcut="auto", example=x).double()
    weights = [p for name, p in skip.named_parameters() if not name.startswith("body")]
    assert len(weights) == (before != after)
    weight = random_(skip).get_parameter("shortcut.project.weight").flatten(1) if weights else None

    def literal(x: Tensor) -> Tensor:
        if not dims and not weights:
            return body(x) + x
        return body(x) + option("D", weight, x, after, stride, dims)

    agree(skip, literal, x)
    assert skip(x).dtype == x.dtype


@settings(max_examples=15, deadline=None)
@given(layouts())
def test_the_sum_and_what_follows_it(layout: Layout) -> None:
    body = layout.branch()
    agree(Skip(body), lambda x: x + body(x), layout.input())
    post = nn.Softplus()
    agree(Skip(body, post=post), lambda x: (1 + (x + body(x)).exp()).log(), layout.input())


@settings(max_examples=15, deadline=None)
@given(layouts(), st.integers(1, 3))
def test_concatenation(layout: Layout, after: int) -> None:
    body, dim = layout.branch(after=after), layout.dim

    def literal(x: Tensor) -> Tensor:
        return torch.stack([*x.unbind(dim), *body(x).unbind(dim)], dim)

    agree(Skip(body, merge=skipway.nn.Concat(dim)), literal, layout.input())
    if dim == 1:
        agree(Skip(body, merge="concat"), literal, layout.input())


@settings(max_examples=15, deadline=None)
@given(layouts())
def test_one_learned_number_on_the_branch_or_on_the_shortcut(layout: Layout) -> None:
    body, x = layout.branch(), layout.input()
    assert torch.equal(Skip(body, gate="rezero")(x), x)
    assert torch.equal(Skip(body, shortcut=ReZero())(x), body(x))
    branch, shortcut = Skip(body, gate=ReZero()), Skip(body, shortcut=ReZero())
    random_(branch.double())
    agree(branch, lambda x: x + branch.gate.weight * body(x), x)
    random_(shortcut.double())
    agree(shortcut, lambda x: shortcut.shortcut.weight * x + body(x), x)


@settings(max_examples=15, deadline=None)
@given(layouts(), st.sampled_from([0.1, 1e-5, 1e-6]))
def test_layer_scale(layout: Layout, init: float) -> None:
    """Touvron et al., equation 4."""
    body = layout.branch()
    gate = skipway.nn.LayerScale(layout.features, init, dim=layout.dim)
    skip = Skip(body, gate=gate).double()
    assert gate.weight.tolist() == [pytest.approx(init)] * layout.features
    random_(skip)

    def literal(x: Tensor) -> Tensor:
        pairs = zip(x.unbind(layout.dim), body(x).unbind(layout.dim), strict=True)
        return torch.stack([a + gate.weight[k] * b for k, (a, b) in enumerate(pairs)], layout.dim)

    agree(skip, literal, layout.input())


@pytest.mark.parametrize("place", ["merge", "gate"])
@settings(max_examples=15, deadline=None)
@given(layouts(), st.sampled_from([-1.0, -3.0]))
def test_highway(place: str, layout: Layout, bias: float) -> None:
    """Srivastava et al., equations 2 and 3."""
    body, dim = layout.branch(), layout.dim
    highway = skipway.nn.Highway(layout.features, bias, dim=dim)
    skip = Skip(body, **{place: highway}).double()
    assert highway.transform.bias.tolist() == [bias] * layout.features
    random_(skip)
    w, b = highway.transform.weight, highway.transform.bias

    def literal(x: Tensor) -> Tensor:
        features, branch = x.unbind(dim), body(x).unbind(dim)
        carried = []
        for k, score in enumerate(product(w, features)):
            t = 1 / (1 + (-(score + b[k])).exp())
            carried.append(t * branch[k] + (1 - t) * features[k])
        return torch.stack(carried, dim)

    agree(skip, literal, layout.input())


@settings(max_examples=15, deadline=None)
@given(layouts(), st.integers(1, 4), st.floats(0.1, 2.0))
def test_fuse(layout: Layout, before: int, scale: float) -> None:
    """A product of both, side by side; at the start their sum."""
    width, dims, dim = layout.features, layout.dims, layout.dim
    fuse = skipway.nn.Fuse(width, skip=before, dims=dims, scale=scale).double()
    shape = list(layout.shape)
    shape[dim] = before
    skipped, x = torch.randn(shape, dtype=torch.float64), layout.input()

    def literal(skipped: Tensor, x: Tensor) -> Tensor:
        both = [*skipped.unbind(dim), *x.unbind(dim)]
        return torch.stack(product(fuse.weight.flatten(1), both), dim)

    start = [
        scale * feature + (skipped.unbind(dim)[k] if k < before else 0)
        for k, feature in enumerate(x.unbind(dim))
    ]
    torch.testing.assert_close(fuse(skipped, x), torch.stack(start, dim), rtol=1e-6, atol=1e-6)
    random_(fuse)
    agree(fuse, literal, skipped, x)


@settings(max_examples=15, deadline=None)
@given(layouts())
def test_value_residual(layout: Layout) -> None:
    """Zhou et al.: `lambda_1 V_1 + lambda_2 V_n`, one half each at the start."""
    mix = skipway.nn.ValueResidual().double()
    first, own = layout.input(), layout.input()
    torch.testing.assert_close(mix(first, own), 0.5 * first + 0.5 * own)
    random_(mix)
    agree(mix, lambda a, b: mix.first * a + mix.own * b, first, own)


@pytest.mark.parametrize("scaled", ["training", "inference"])
@settings(max_examples=15, deadline=None)
@given(layouts(), st.floats(0.0, 1.0))
def test_a_sample_loses_its_branch_as_a_whole(scaled: str, layout: Layout, p: float) -> None:
    body = layout.branch()
    skip = Skip(body, drop=StochasticDepth(p, scaled=scaled))
    x = layout.input().repeat_interleave(8, 0)
    kept = 1 / (1 - p) if scaled == "training" and p < 1 else 1.0

    torch.manual_seed(3)
    lost = [torch.equal(y, one) for y, one in zip(skip(x), x, strict=True)]

    def literal(x: Tensor) -> Tensor:
        rows = zip(x, body(x), lost, strict=True)
        return torch.stack([one + (0 if gone else kept) * f for one, f, gone in rows])

    def seeded(x: Tensor) -> Tensor:
        torch.manual_seed(3)
        return skip(x)

    agree(seeded, literal, x, parameters_of=skip)
    skip.eval()
    used = 1.0 if scaled == "training" else 1 - p
    agree(skip, lambda x: x + used * body(x), x)


@pytest.mark.parametrize("scaled", ["training", "inference"])
@pytest.mark.parametrize("p", [0.0, 0.2, 0.5, 0.9, 1.0])
def test_the_mean_over_many_draws_is_the_scaled_branch(scaled: str, p: float) -> None:
    """Within five standard errors of `b f / (1 - p)`, or of `b f`, with `P(b = 1) = 1 - p`."""
    draws, x = 40_000, torch.randn(3, 2, dtype=torch.float64)
    drop = StochasticDepth(p, scaled=scaled)
    mean = torch.stack([drop(x.repeat(draws, 1))]).view(draws, 3, 2).mean(0)
    factor = 1.0 if scaled == "training" else 1 - p
    survival = 1.0 if p < 1 else 0.0
    spread = math.sqrt(p / (1 - p) if scaled == "training" else p * (1 - p)) if p < 1 else 0.0
    bound = 5 * spread / math.sqrt(draws) + 1e-9
    assert ((mean - factor * survival * x).abs() <= bound * x.abs()).all()


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 60), st.floats(0.0, 1.0))
def test_the_linear_schedule(depth: int, last: float) -> None:
    """Huang et al., equation 4: branch `l` survives with `1 - l / L (1 - p_L)`."""
    drops = StochasticDepth.linear(depth, last)
    assert len(drops) == depth
    for branch, drop in enumerate(drops, start=1):
        survival = 1 - branch / depth * (1 - (1 - last))
        assert 1 - drop.p == pytest.approx(survival, abs=1e-12)


def placed(x: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """`x` in the middle of zeros, or the middle of `x`: index by index, the odd one at the end."""
    values = []
    for place in itertools.product(*map(range, sizes)):
        source = []
        for i, old, new in zip(place, x.shape[2:], sizes, strict=True):
            source.append(i - (new - old) // 2 if new > old else i + (old - new) // 2)
        inside = all(0 <= i < old for i, old in zip(source, x.shape[2:], strict=True))
        values.append(at(x, source) if inside else x.new_zeros(x.shape[:2]))
    return torch.stack(values, -1).reshape(*x.shape[:2], *sizes)


def resampled(x: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """Linear between the centres of the cells, constant beyond the outermost."""
    values = []
    for place in itertools.product(*map(range, sizes)):
        axes = []
        for i, old, new in zip(place, x.shape[2:], sizes, strict=True):
            centre = min(max((i + 0.5) * old / new - 0.5, 0.0), old - 1.0)
            low = math.floor(centre)
            axes.append([(low, 1 - (centre - low)), (min(low + 1, old - 1), centre - low)])
        corners = list(itertools.product(*axes))
        values.append(
            sum(
                math.prod(w for _, w in corner) * at(x, (i for i, _ in corner))
                for corner in corners
            )
        )
    return torch.stack(values, -1).reshape(*x.shape[:2], *sizes)


ALIGNED: dict[str, Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]] = {
    "pad": lambda shortcut, branch: (shortcut, placed(branch, shortcut.shape[2:])),
    "crop": lambda shortcut, branch: (placed(shortcut, branch.shape[2:]), branch),
    "interpolate": lambda shortcut, branch: (shortcut, resampled(branch, shortcut.shape[2:])),
}


@pytest.mark.parametrize("how", ALIGNED)
@pytest.mark.parametrize("dims", [1, 2, 3])
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_positions_are_brought_together(how: str, dims: int, data: st.DataObject) -> None:
    """Any sizes on either side, one axis longer and another shorter."""
    torch.manual_seed(data.draw(st.integers(0, 2**16)))
    sizes = st.lists(st.integers(1, 6 if dims < 3 else 3), min_size=dims, max_size=dims)
    old, new = data.draw(sizes), data.draw(sizes)
    pool = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)[dims - 1]
    body = nn.Sequential(CONVOLUTIONS[dims](2, 3, 1).double(), nn.Tanh(), pool(new))
    x = torch.randn(2, 2, *old, dtype=torch.float64)

    def literal(x: Tensor) -> Tensor:
        return torch.cat(ALIGNED[how](x, body(x)), 1)

    agree(Skip(body, merge="concat", align=how), literal, x)


@settings(max_examples=10, deadline=None)
@given(layouts(), st.sampled_from(["pad", "crop", "interpolate"]))
def test_all_options_at_once(layout: Layout, how: str) -> None:
    """`y = post(merge(shortcut(x), drop(gate(body(x)))))`, in this order."""
    if not layout.dims:
        layout = Layout((2, layout.features, 5), 1)
    d, pool = layout.features, CONVOLUTIONS[layout.dims](layout.features, 3, 2, padding=1)
    body = nn.Sequential(pool, nn.Tanh())
    skip = Skip(
        body,
        shortcut=skipway.nn.Shortcut(d, 3, kind="C", dims=layout.dims),
        merge=skipway.nn.Highway(3, dim=1),
        gate=skipway.nn.LayerScale(3, dim=1),
        drop=StochasticDepth(0.4, scaled="inference"),
        align=how,
        post=nn.Tanh(),
    )
    skip.double().eval()
    random_(skip)

    def literal(x: Tensor) -> Tensor:
        weight = skip.shortcut.project.weight.flatten(1)
        carried = option("C", weight, x, 3, 1, layout.dims)
        scale = skip.gate.weight.view(3, *(1,) * layout.dims)
        carried, branch = ALIGNED[how](carried, 0.6 * (scale * body(x)))
        w, b = skip.merge.transform.weight, skip.merge.transform.bias
        rows = []
        for k, score in enumerate(product(w, carried.unbind(1))):
            t = (score + b[k]).sigmoid()
            rows.append(t * branch[:, k] + (1 - t) * carried[:, k])
        return torch.stack(rows, 1).tanh()

    agree(skip, literal, layout.input())
