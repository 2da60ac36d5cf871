"""Every rule of a stack against a literal transcription of the published equations.

Written from the papers, not from the library: sums are loops, features and streams are lists.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import skipway.nn
from agreement import Layout, agree, layouts, random_
from skipway.nn import Residual, Skip, Stack

Parameters = dict[str, Tensor]


@dataclass(frozen=True)
class Transcription:
    """A rule, blocks for it, and the function of `(blocks, parameters, x)` they should be."""

    rule: skipway.nn.Rule
    blocks: list[nn.Module]
    literal: Callable[[nn.ModuleList, Parameters, Tensor], Tensor]


def total(terms: list[Tensor]) -> Tensor:
    """The sum, one after the other."""
    result = terms[0]
    for term in terms[1:]:
        result = result + term
    return result


def layer_norm(x: Tensor, dim: int, weight: Tensor, bias: Tensor, eps: float) -> list[Tensor]:
    """`(x - mean) / sqrt(var + eps) * weight + bias`, a list of the features."""
    features = x.unbind(dim)
    mean = total(features) / len(features)
    variance = total([(feature - mean) ** 2 for feature in features]) / len(features)
    scale = (variance + eps) ** 0.5
    return [(feature - mean) / scale * weight[k] + bias[k] for k, feature in enumerate(features)]


def rms_norm(features: list[Tensor], eps: float) -> list[Tensor]:
    """`x / sqrt(mean x² + eps)`."""
    scale = (total([feature**2 for feature in features]) / len(features) + eps) ** 0.5
    return [feature / scale for feature in features]


def attention(query: Tensor, sources: list[Tensor], dim: int, eps: float) -> Tensor:
    """`sum_i softmax_i(w . RMSNorm(v_i)) v_i`: the norm is of the keys alone."""
    scores = []
    for source in sources:
        key = rms_norm(source.unbind(dim), eps)
        scores.append(total([query[k] * key[k] for k in range(len(key))]).exp())
    normaliser = total(scores)
    return total(
        [
            (score / normaliser).unsqueeze(dim) * source
            for score, source in zip(scores, sources, strict=True)
        ]
    )


def sinkhorn(logits: list[list[Tensor]], steps: int) -> list[list[Tensor]]:
    """`M_0 = exp(.)`, `M_t = T_r(T_c(M_{t-1}))`: the columns first, then the rows."""
    n = len(logits)
    m = [[logits[i][j].exp() for j in range(n)] for i in range(n)]
    for _ in range(steps):
        columns = [total([m[i][j] for i in range(n)]) for j in range(n)]
        m = [[m[i][j] / columns[j] for j in range(n)] for i in range(n)]
        rows = [total(m[i]) for i in range(n)]
        m = [[m[i][j] / rows[i] for j in range(n)] for i in range(n)]
    return m


def residual(draw: st.DrawFn, layout: Layout, depth: int) -> Transcription:
    scale = draw(st.sampled_from([1.0, 0.3, "depth"]))

    def literal(blocks: nn.ModuleList, p: Parameters, x: Tensor) -> Tensor:
        s = 1 / math.sqrt(depth) if scale == "depth" else scale
        for block in blocks:
            x = x + s * block(x)
        return x

    return Transcription(Residual(scale), layout.branches(depth), literal)


def deep_norm(draw: st.DrawFn, layout: Layout, depth: int) -> Transcription:
    """Post-norm: the norm's output is the next block's input."""
    eps = draw(st.sampled_from([1e-5, 1e-2]))

    def literal(blocks: nn.ModuleList, p: Parameters, x: Tensor) -> Tensor:
        layers = depth / 2
        alpha = (2 * layers) ** (1 / 4)
        for index, block in enumerate(blocks):
            weight, bias = p[f"rule.norms.{index}.weight"], p[f"rule.norms.{index}.bias"]
            both = alpha * x + block(x)
            x = torch.stack(layer_norm(both, layout.dim, weight, bias, eps), layout.dim)
        return x

    rule = skipway.nn.DeepNorm(layout.features, dim=layout.dim, eps=eps)
    return Transcription(rule, layout.branches(depth), literal)


def fixup(draw: st.DrawFn, layout: Layout, depth: int) -> Transcription:
    def literal(blocks: nn.ModuleList, p: Parameters, x: Tensor) -> Tensor:
        for index, block in enumerate(blocks):
            inner = block(x + p[f"rule.biases_before.{index}"])
            x = x + p[f"rule.scales.{index}"] * inner + p[f"rule.biases_after.{index}"]
        return x

    return Transcription(skipway.nn.Fixup(), layout.branches(depth), literal)


def dense(draw: st.DrawFn, layout: Layout, depth: int) -> Transcription:
    growth = draw(st.integers(1, 3))
    blocks = [layout.branch(layout.features + growth * index, growth) for index in range(depth)]

    def literal(blocks: nn.ModuleList, p: Parameters, x: Tensor) -> Tensor:
        outputs = [x]
        for block in blocks:
            outputs.append(block(torch.cat(outputs, layout.dim)))
        return torch.cat(outputs, layout.dim)

    return Transcription(skipway.nn.Dense(layout.dim), blocks, literal)


def dense_former(draw: st.DrawFn, layout: Layout, depth: int) -> Transcription:
    dilation, period, own = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.booleans())

    def literal(blocks: nn.ModuleList, p: Parameters, x: Tensor) -> Tensor:
        xs, y, averages = [x], x, 0
        for i, block in enumerate(blocks, start=1):
            xs.append(block(y) if own else y + block(y))
            y = xs[i]
            if i % period == 0:
                chosen = [j for j in range(i + 1) if j % dilation == i % dilation]
                alpha = p[f"rule.weights.{averages}"]
                assert len(alpha) == len(chosen)
                y = total([alpha[k] * xs[j] for k, j in enumerate(chosen)])
                averages += 1
        return y

    rule = skipway.nn.DenseFormer(dilation=dilation, period=period, residual=not own)
    return Transcription(rule, layout.branches(depth), literal)


def hyper_connections(draw: st.DrawFn, layout: Layout, depth: int) -> Transcription:
    """`h_0 = A_m^T H`, `H' = B^T T(h_0) + A_r^T H` (equations 1 to 5); dynamic: 10 to 13."""
    n, dynamic, dim = draw(st.integers(1, 4)), draw(st.booleans()), layout.dim

    def ways(p: Parameters, layer: int, h: list[Tensor]) -> tuple[list[list[Tensor]], list[Tensor]]:
        name = f"rule.connections.{layer}."
        static = f"{name}static." if dynamic else name
        alpha, beta = p[f"{static}alpha"], p[f"{static}beta"]
        a, b = [list(row) for row in alpha], list(beta)
        if not dynamic:
            return a, b
        w, s_alpha, s_beta = (p[name + key] for key in ("weight", "scale_alpha", "scale_beta"))
        for i in range(n):
            norm = layer_norm(h[i], dim, p[f"{name}norm.weight"], p[f"{name}norm.bias"], 1e-5)
            product = [total([norm[k] * w[k, j] for k in range(len(norm))]) for j in range(n + 2)]
            for j in range(n + 1):
                a[i][j] = (alpha[i, j] + s_alpha * product[j].tanh()).unsqueeze(dim)
            b[i] = (beta[i] + s_beta * product[n + 1].tanh()).unsqueeze(dim)
        return a, b

    def literal(blocks: nn.ModuleList, p: Parameters, x: Tensor) -> Tensor:
        h = [x] * n
        for layer, block in enumerate(blocks):
            a, b = ways(p, layer, h)
            a_m, a_r = [a[i][0] for i in range(n)], [a[i][1:] for i in range(n)]
            y = block(total([a_m[i] * h[i] for i in range(n)]))
            h = [total([a_r[i][j] * h[i] for i in range(n)]) + b[j] * y for j in range(n)]
        return total(h) / n

    features = layout.features if dynamic else None
    rule = skipway.nn.HyperConnections(n, features=features, dim=dim)
    return Transcription(rule, layout.branches(depth), literal)


def manifold(draw: st.DrawFn, layout: Layout, depth: int) -> Transcription:
    """`x' = H_res x + H_post^T F(H_pre x)` (equation 3), with the constraints of 7 to 9."""
    n, dynamic, dim = draw(st.integers(2, 4)), draw(st.booleans()), layout.dim
    steps = draw(st.sampled_from([1, 20]))

    def ways(p: Parameters, layer: int, x: list[Tensor]) -> tuple[list, list, list[list]]:
        name = f"rule.connections.{layer}."
        pre, post = list(p[f"{name}pre"]), list(p[f"{name}post"])
        res = [list(row) for row in p[f"{name}res"]]
        if dynamic:
            vec = [feature for stream in x for feature in stream.unbind(dim)]
            norm, phi = rms_norm(vec, 1e-6), p[f"{name}weight"]
            a_pre, a_post, a_res = p[f"{name}scales"]
            product = [
                total([norm[k] * phi[k, j] for k in range(len(norm))]).unsqueeze(dim)
                for j in range(2 * n + n * n)
            ]
            for i in range(n):
                pre[i] = a_pre * product[i] + pre[i]
                post[i] = a_post * product[n + i] + post[i]
                for j in range(n):
                    res[i][j] = a_res * product[2 * n + n * i + j] + res[i][j]
        sigmoid = [1 / (1 + (-h).exp()) for h in pre]
        return sigmoid, [2 / (1 + (-h).exp()) for h in post], sinkhorn(res, steps)

    def literal(blocks: nn.ModuleList, p: Parameters, x: Tensor) -> Tensor:
        streams = [x] * n
        for layer, block in enumerate(blocks):
            pre, post, res = ways(p, layer, streams)
            y = block(total([pre[j] * streams[j] for j in range(n)]))
            mixed = [total([res[i][j] * streams[j] for j in range(n)]) for i in range(n)]
            streams = [mixed[i] + post[i] * y for i in range(n)]
        return total(streams) / n

    features = layout.features if dynamic else None
    rule = skipway.nn.ManifoldHyperConnections(n, features=features, dim=dim, steps=steps)
    return Transcription(rule, layout.branches(depth), literal)


def attention_residuals(draw: st.DrawFn, layout: Layout, depth: int) -> Transcription:
    """Block `n` reads `b_0 ... b_{n-1}` and, behind its first layer, `b_n` so far (equation 6)."""
    size, dim, eps = draw(st.integers(1, 3)), layout.dim, draw(st.sampled_from([1e-6, 1e-2]))

    def literal(blocks: nn.ModuleList, p: Parameters, x: Tensor) -> Tensor:
        summaries, partial = [x], []
        for layer, block in enumerate(blocks):
            sources = summaries + ([total(partial)] if partial else [])
            # The first block has one source: its softmax is 1, whatever the query.
            query = p[f"rule.queries.{layer - 1}"] if layer else None
            y = block(x if query is None else attention(query, sources, dim, eps))
            partial.append(y)
            if (layer + 1) % size == 0:
                summaries, partial = [*summaries, total(partial)], []
        sources = summaries + ([total(partial)] if partial else [])
        return attention(p[f"rule.queries.{depth - 1}"], sources, dim, eps)

    rule = skipway.nn.AttentionResiduals(layout.features, block_size=size, dim=dim, eps=eps)
    return Transcription(rule, layout.branches(depth), literal)


def delta_attention_residuals(draw: st.DrawFn, layout: Layout, depth: int) -> Transcription:
    """`h_0 = x_0`; then `h_l = x_l + g_l sum_i a_il v_i` over `v_{-1} = x_0, v_0 ... v_{l-1}`."""
    gate, dim, eps = draw(st.sampled_from([0.0, None])), layout.dim, 1e-6

    def literal(blocks: nn.ModuleList, p: Parameters, x: Tensor) -> Tensor:
        stream, changes = x, [x]
        for layer, block in enumerate(blocks):
            h = stream
            if layer:
                chosen = attention(p[f"rule.queries.{layer - 1}"], changes, dim, eps)
                h = h + (chosen if gate is None else p[f"rule.gates.{layer - 1}"] * chosen)
            changes.append(block(h))
            stream = stream + changes[-1]
        return stream

    rule = skipway.nn.DeltaAttentionResiduals(layout.features, gate=gate, dim=dim, eps=eps)
    return Transcription(rule, layout.branches(depth), literal)


def reversible(draw: st.DrawFn, layout: Layout, depth: int) -> Transcription:
    """`y_1 = x_1 + F(x_2)`, `y_2 = x_2 + G(y_1)`, pair by pair."""
    half = layout.features
    layout = Layout(tuple(layout.input().repeat_interleave(2, layout.dim).shape), layout.dim)
    rule = skipway.nn.Reversible(dim=layout.dim, recompute=draw(st.booleans()))

    def literal(blocks: nn.ModuleList, p: Parameters, x: Tensor) -> Tensor:
        features = x.unbind(layout.dim)
        x_1 = torch.stack(features[:half], layout.dim)
        x_2 = torch.stack(features[half:], layout.dim)
        for pair in range(depth):
            f, g = blocks[2 * pair], blocks[2 * pair + 1]
            y_1 = x_1 + f(x_2)
            y_2 = x_2 + g(y_1)
            x_1, x_2 = y_1, y_2
        return torch.stack([*x_1.unbind(layout.dim), *x_2.unbind(layout.dim)], layout.dim)

    return Transcription(rule, [layout.branch(half, half) for _ in range(2 * depth)], literal)


RULES = [
    residual,
    deep_norm,
    fixup,
    dense,
    dense_former,
    hyper_connections,
    manifold,
    attention_residuals,
    delta_attention_residuals,
    reversible,
]


@pytest.mark.parametrize("transcribe", RULES, ids=lambda rule: rule.__name__)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_every_rule_is_its_formula_with_all_gradients(
    transcribe: Callable[..., Transcription], data: st.DataObject
) -> None:
    layout, depth = data.draw(layouts()), data.draw(st.integers(1, 5))
    case = transcribe(data.draw, layout, depth)
    stack = Stack(case.blocks, rule=case.rule).double()
    random_(stack.rule)
    parameters = dict(stack.named_parameters())
    x = layout.input()
    if transcribe is reversible:
        x = torch.cat([x, layout.input()], layout.dim)
    agree(stack, lambda x: case.literal(stack.blocks, parameters, x), x)


@pytest.mark.parametrize("depth", [1, 2, 12, 200])
def test_deep_norm_scales_all_but_queries_and_keys(depth: int) -> None:
    """Wang et al., figure 2: `alpha = (2M)^(1/4)`, `beta = (8M)^(-1/4)`, two blocks a layer."""
    layers = depth / 2
    alpha, beta = (2 * layers) ** 0.25, (8 * layers) ** -0.25
    attention, other = nn.MultiheadAttention(4, 2), nn.MultiheadAttention(4, 2, kdim=3, vdim=5)
    inner = nn.ModuleDict({"q_proj": nn.Linear(4, 4), "v_proj": nn.Linear(4, 4)})
    named = nn.ModuleDict({"a": attention, "o": other, "i": inner, "norm": nn.LayerNorm(4)})
    named["conv"] = nn.Conv1d(4, 4, 3)
    before = {name: p.detach().clone() for name, p in named.named_parameters()}
    blocks = [named, *(nn.Linear(4, 4) for _ in range(depth - 1))]
    rule = Stack(blocks, rule=skipway.nn.DeepNorm(4)).rule
    assert (rule.alpha, rule.beta) == pytest.approx((alpha, beta), rel=1e-12)
    scaled = {
        *("a.out_proj.weight", "o.v_proj_weight", "o.out_proj.weight"),
        *("i.v_proj.weight", "conv.weight"),
    }
    for name, parameter in named.named_parameters():
        expected = before[name] * beta if name in scaled else before[name]
        if name == "a.in_proj_weight":
            expected = torch.cat([before[name][:8], before[name][8:] * beta])
        torch.testing.assert_close(parameter.detach(), expected, msg=name)


@pytest.mark.parametrize("depth", [1, 2, 9, 50])
def test_fixup_scales_by_the_depth_and_zeroes_the_last_layer(depth: int) -> None:
    """Zhang et al., section 3: all but the last of `m` layers times `L^(-1/(2m-2))`."""

    def branch(m: int) -> nn.Sequential:
        layers = [(nn.Linear if k % 2 else nn.Conv1d)(4, 4, 1) for k in range(m)]
        return nn.Sequential(*layers, nn.Identity())

    blocks = [branch(1 + index % 4) for index in range(depth)]
    plain = copy.deepcopy(blocks)
    stack = Stack(blocks, rule="fixup")
    for block, before in zip(stack.blocks, plain, strict=True):
        m = len(block) - 1
        for k in range(m - 1):
            torch.testing.assert_close(
                block[k].weight, before[k].weight * depth ** (-1 / (2 * m - 2))
            )
            assert torch.equal(block[k].bias, before[k].bias)
        assert not block[m - 1].weight.any()
    for parameters, start in [("scales", 1.0), ("biases_before", 0.0), ("biases_after", 0.0)]:
        assert [p.item() for p in getattr(stack.rule, parameters)] == [start] * depth


def test_a_layer_that_blocks_share_is_scaled_once() -> None:
    """In four blocks, where Fixup's factor is a half, and DeepNorm's as well."""
    for rule, factor in [(skipway.nn.Fixup(), 4**-0.5), (skipway.nn.DeepNorm(4), 16**-0.25)]:
        shared = nn.Linear(4, 4)
        before = shared.weight.detach().clone()
        blocks = [nn.Sequential(shared, nn.ReLU(), nn.Linear(4, 4)) for _ in range(3)]
        Stack([*blocks, blocks[0]], rule=rule)
        torch.testing.assert_close(shared.weight.detach(), before * factor)


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 5), st.integers(0, 2**16), st.booleans())
def test_the_manifold_is_that_of_doubly_stochastic_matrices(
    n: int, seed: int, dynamic: bool
) -> None:
    """At the start in the paper's 20 steps, and for any logits: these are within 1.5 of zero."""
    torch.manual_seed(seed)
    for steps, bound in [(20, None), (100, 0.3 if dynamic else 1.5)]:
        features = n if dynamic else None
        rule = skipway.nn.ManifoldHyperConnections(n, features=features, steps=steps)
        Stack([nn.Linear(n, n)], rule=rule)
        for parameter in rule.double().parameters() if bound else ():
            nn.init.uniform_(parameter, -bound, bound)
        read, (mixed, post) = rule.read(torch.eye(n, dtype=torch.float64), 0)
        ones = torch.ones(n, dtype=torch.float64)
        for axis in (0, 1):
            torch.testing.assert_close(mixed.sum(axis), ones, rtol=0, atol=1e-6)
        assert (mixed >= 0).all()
        assert ((read > 0) & (read < 1)).all()
        assert ((post > 0) & (post < 2)).all()


def test_recomputing_changes_no_number() -> None:
    """Hundreds of blocks in float64, with dropout, batch norm and a context that is learned."""

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(
                nn.BatchNorm1d(4), nn.Linear(4, 4), nn.Tanh(), nn.Dropout(0.3)
            )

        def forward(self, x: Tensor, context: Tensor) -> Tensor:
            return 0.3 * self.layers(x) * context

    blocks = [Block() for _ in range(200)]
    results = []
    for recompute in (True, False):
        rule = skipway.nn.Reversible(recompute=recompute)
        stack = Stack(copy.deepcopy(blocks), rule=rule).double()
        torch.manual_seed(1)
        x = torch.randn(5, 8, dtype=torch.float64, requires_grad=True)
        context = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
        y = stack(x, context)
        gradients = torch.autograd.grad(y.sin().sum(), [x, context, *stack.parameters()])
        results.append([y, *gradients, *stack.buffers()])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)


def loop(blocks: nn.ModuleList, x: Tensor) -> Tensor:
    """The plain residual network."""
    for block in blocks:
        x = x + block(x)
    return x


def preserving(layout: Layout) -> list[tuple[skipway.nn.Rule, float]]:
    """The rules that say they begin as the residual network, and how far off they may be."""
    d, dim = layout.features, layout.dim
    return [
        (Residual(), 0.0),
        (skipway.nn.Fixup(), 0.0),
        *((skipway.nn.HyperConnections(n, dim=dim), 0.0) for n in (1, 2, 4)),
        *((skipway.nn.HyperConnections(n, features=d, dim=dim), 0.0) for n in (1, 2, 4)),
        (skipway.nn.HyperConnections(3, dim=dim), 1e-14),
        (skipway.nn.DenseFormer(), 0.0),
        (skipway.nn.DenseFormer(dilation=2, period=3), 0.0),
        (skipway.nn.DeltaAttentionResiduals(d, dim=dim), 0.0),
        (skipway.nn.ManifoldHyperConnections(2, dim=dim), 1e-6),
        (skipway.nn.ManifoldHyperConnections(4, features=d, dim=dim), 1e-6),
    ]


@settings(max_examples=15, deadline=None)
@given(layouts(), st.integers(1, 6))
def test_a_rule_that_says_so_begins_as_the_residual_network(layout: Layout, depth: int) -> None:
    x = layout.input()
    for rule, tolerance in preserving(layout):
        assert rule.preserves_function, rule
        stack = Stack(layout.branches(depth), rule=rule).double()
        actual, expected = stack(x), loop(stack.blocks, x)
        if tolerance:
            torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)
        else:
            assert torch.equal(actual, expected), rule


@pytest.mark.parametrize(
    "rule",
    [
        Residual(0.5),
        Residual("depth"),
        skipway.nn.DeepNorm(8),
        skipway.nn.Dense(dim=-1),
        skipway.nn.DenseFormer(residual=False),
        skipway.nn.AttentionResiduals(8),
        skipway.nn.AttentionResiduals(8, block_size=2),
        skipway.nn.DeltaAttentionResiduals(8, gate=None),
        skipway.nn.DeltaAttentionResiduals(8, gate=0.5),
        skipway.nn.Reversible(dim=-1),
    ],
    ids=repr,
)
def test_a_rule_that_does_not_say_so_begins_elsewhere(rule: skipway.nn.Rule) -> None:
    stack, x = Stack([nn.Tanh() for _ in range(4)], rule=rule), torch.randn(3, 8)
    assert not rule.preserves_function
    actual, expected = stack(x), loop(stack.blocks, x)
    assert actual.shape != expected.shape or (actual - expected).abs().max() > 1e-2


def blind() -> nn.Module:
    """A body with a Jacobian of zero, though its output is not."""
    body = nn.Linear(8, 8)
    nn.init.zeros_(body.weight)
    return body


@pytest.mark.parametrize(
    ("net", "survives"),
    [
        (nn.Sequential(*(Skip(blind()) for _ in range(1000))), True),
        (Stack([blind() for _ in range(1000)], rule="residual"), True),
        (nn.Sequential(*(blind() for _ in range(1000))), False),
    ],
    ids=["skips", "stack", "plain"],
)
def test_the_one_in_the_derivative_survives_a_thousand_layers(
    net: nn.Module, survives: bool
) -> None:
    x, weights = torch.randn(3, 8, requires_grad=True), torch.randn(3, 8)
    (gradient,) = torch.autograd.grad(net(x), x, weights)
    assert torch.equal(gradient, weights if survives else torch.zeros(3, 8))


@pytest.mark.parametrize("features", [None, 8])
def test_ways_are_doubly_stochastic_though_parameters_are_bfloat16(features: int | None) -> None:
    rule = skipway.nn.ManifoldHyperConnections(4, features=features, steps=100)
    skipway.nn.Stack([nn.Identity()], rule)
    for parameter in rule.parameters():
        nn.init.normal_(parameter, std=0.3)
    _, _, mixed = rule.bfloat16().connections[0](torch.randn(3, 4, 8))
    assert mixed.dtype == torch.float32
    for axis in (-1, -2):
        torch.testing.assert_close(mixed.sum(axis), torch.ones_like(mixed.sum(axis)))
