"""The gate by its effect, the streams against a literal loop over entries."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from skipway.learn._marking import Mistakes, Wrong, expect, function, seeded, tensor
from skipway.learn._picture import Picture, lines

BATCH, WIDTH = 3, 5
STEPS, DEPTH = 80, 24


def check(answer: ModuleType) -> None:
    """Check the gate, one hyper-connection, and a network of them."""
    torch.manual_seed(11)
    _check_gate(function(answer, "ReZero"))
    _check_connection(function(answer, "hyper_connection"))
    _check_network(function(answer, "hyper_network"))


def _check_gate(rezero: Any) -> None:
    body = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh())
    net, x = rezero(body), torch.randn(BATCH, WIDTH)
    own = [p for p in net.parameters() if all(p is not q for q in body.parameters())]
    out = tensor(net(x), "ReZero.forward", (BATCH, WIDTH))
    if not own:
        raise Wrong(
            "ReZero has no number of its own that the optimizer would see. A float or a plain "
            "tensor is never trained: nn.Parameter."
        )
    if len(own) != 1 or own[0].numel() != 1:
        raise Wrong("ReZero should have one number of its own, for the whole block.")
    if float(own[0].detach()) != 0:
        raise Wrong(f"The gate starts at {float(own[0].detach()):g}; it should start at 0.")
    _check_gate_at(net, own[0], x, out.detach(), body(x).detach())
    _check_gate_learns(net, own[0], x)


def _check_gate_at(net: Any, gate: nn.Parameter, x: Tensor, out: Tensor, branch: Tensor) -> None:
    with torch.no_grad():
        mistakes: Mistakes = {
            "With its gate at 0 the block should be the identity; yours returns 0. The gate "
            "belongs to F(x) alone, not to the sum.": torch.zeros_like(x),
            "With its gate at 0 the block should be the identity; yours returns F(x). The gate "
            "belongs to F(x), not to x.": branch,
            "With its gate at 0 the block should be the identity; yours returns x + F(x). Is the "
            "gate used?": x + branch,
            "With its gate at 0 the block should be the identity. A sigmoid or an exp of 0 is not "
            "0.": (x + branch / 2, x / 2 + branch / 2),
        }
        expect(out, x, mistakes, "With its gate at 0 the block should return x.")
        gate.fill_(0.7)
        expect(
            net(x), x + 0.7 * branch, {
                "With the gate at 0.7 it should be x + 0.7 F(x); yours is (1 - 0.7) x + 0.7 F(x), "
                "a highway. Leave x as it is.": 0.3 * x + 0.7 * branch,
                "With the gate at 0.7 it should be x + 0.7 F(x); yours returns x. Is F(x) "
                "added?": x,
            },
            "With the gate at 0.7 the block should return x + 0.7 F(x).",
        )  # fmt: skip


def _check_gate_learns(net: Any, gate: nn.Parameter, x: Tensor) -> None:
    out = net(x)
    found = torch.autograd.grad(out.sum(), gate, allow_unused=True) if out.requires_grad else None
    if not found or found[0] is None or not found[0].any():
        raise Wrong(
            "No gradient reaches the gate, so it stays at 0. Is it detached (.data, .item)?"
        )


def _given() -> tuple[Tensor, nn.Module, Tensor, Tensor, Tensor]:
    draw = seeded()
    streams = torch.randn(2, BATCH, WIDTH, generator=draw)
    pre, post = torch.tensor([0.7, -0.4]), torch.tensor([1.3, 0.6])
    return streams, nn.Linear(WIDTH, WIDTH), pre, post, torch.tensor([[0.9, 0.3], [-0.5, 1.1]])


def _literal(streams: Tensor, body: Any, pre: Tensor, post: Tensor, res: Tensor) -> Tensor:
    """The formula, stream by stream."""
    h = sum(pre[j] * streams[j] for j in range(2))
    branch = body(h)
    return torch.stack([
        sum((res[i, j] * streams[j] for j in range(2)), post[i] * branch) for i in range(2)
    ])  # fmt: skip


def _check_connection(connection: Any) -> None:
    streams, body, pre, post, res = _given()
    calls: list[Tensor] = []

    def counted(h: Tensor) -> Tensor:
        calls.append(h)
        return body(h)  # type: ignore[no-any-return]

    with torch.no_grad():
        given = streams.clone()
        got = tensor(connection(given, counted, pre, post, res), "hyper_connection")
        if not torch.equal(given, streams):
            raise Wrong(
                "You wrote into the streams you were given, and the second stream then read what "
                "had become of the first. Make a new tensor."
            )
        right = _literal(streams, body, pre, post, res)
        mistakes = _mistakes(streams, body, pre, post, res, right)
        expect(got, right, mistakes, "hyper_connection does not give what the formula gives.")
    if len(calls) != 1:
        raise Wrong(f"The values are right, but the branch ran {len(calls)} times. Once is enough.")


def _mistakes(
    streams: Tensor, body: Any, pre: Tensor, post: Tensor, res: Tensor, right: Tensor
) -> Mistakes:
    one, none = torch.ones(2), torch.zeros(2)
    return {
        "res is transposed: its first index is the stream that is written, the second the one "
        "that is read.": _literal(streams, body, pre, post, res.T),
        "res is never used: the streams go on as they were, and are not mixed.": _literal(
            streams, body, pre, post, torch.eye(2)
        ),
        "The streams themselves are gone: only post F(h) is left.": _literal(
            streams, body, pre, post, torch.zeros(2, 2)
        ),
        "post is not used: F(h) is written to both streams alike.": _literal(
            streams, body, pre, one, res
        ),
        "pre and post are exchanged: pre reads, post writes.": _literal(
            streams, body, post, pre, res
        ),
        "pre is not used: the branch reads the plain sum or mean of the streams.": (
            _literal(streams, body, one, post, res),
            _literal(streams, body, one / 2, post, res),
        ),
        "F(h) is missing; the streams are only mixed.": _literal(streams, body, pre, none, res),
        "The branch reads one of the streams. It reads the mixture, pre_0 X_0 + pre_1 X_1.": (
            _literal(streams, body, torch.tensor([1.0, 0]), post, res),
            _literal(streams, body, torch.tensor([0, 1.0]), post, res),
        ),
        "You returned one stream, or the mean of both; return the two.": (
            right[0],
            right[1],
            right.mean(0),
            right.sum(0),
        ),
        "The branch runs on each stream by itself. It runs once, on the mixture h.": (
            torch.stack(
                [
                    right[i] - post[i] * (body(_mixture(streams, pre)) - body(streams[i]))
                    for i in range(2)
                ]
            )
        ),
    }


def _mixture(streams: Tensor, pre: Tensor) -> Tensor:
    return pre[0] * streams[0] + pre[1] * streams[1]


def _check_network(network: Any) -> None:
    x = torch.randn(BATCH, WIDTH, generator=seeded(3))
    _, _, pre, post, res = _given()
    bodies = [nn.Linear(WIDTH, WIDTH) for _ in range(3)]
    ways = [(pre, post, res), (post, pre, res.T), (pre.flip(0), post, torch.eye(2))]
    with torch.no_grad():
        got = tensor(network(x.clone(), list(bodies), list(ways)), "hyper_network")
        streams = torch.stack([x, x])
        for body, way in zip(bodies, ways, strict=True):
            streams = _literal(streams, body, *way)
        once = _literal(torch.stack([x, x]), bodies[0], *ways[0])
        half = torch.stack([x, torch.zeros_like(x)])
        for body, way in zip(bodies, ways, strict=True):
            half = _literal(half, body, *way)
        mistakes: Mistakes = {
            "You added the streams up at the end; take their mean. A sum starts at twice the "
            "residual network.": streams.sum(0),
            "You returned one of the streams; take the mean of both.": (streams[0], streams[1]),
            "You returned both streams; take their mean.": streams,
            "Only one block was run. Do the new streams go into the next?": once.mean(0),
            "x starts in one stream only; put it into both.": (half.mean(0), half.sum(0)),
        }
        expect(got, streams.mean(0), mistakes, "hyper_network does not give what the blocks give.")


def picture(answer: ModuleType) -> Picture:
    """Train a deep stack of the learner's gated blocks, and the same without gate and skip."""
    torch.manual_seed(11)
    x = torch.randn(64, 16)
    target = torch.sin(2 * x[:, :1]) * x[:, 1:2]
    rows = {}
    for name, block in (("your ReZero", answer.ReZero), ("plain", lambda body: body)):
        torch.manual_seed(11)
        bodies = [nn.Sequential(nn.Linear(16, 16), nn.Tanh()) for _ in range(DEPTH)]
        net = nn.Sequential(*map(block, bodies), nn.Linear(16, 1))
        rows[name] = _losses(net, x, target)
    return lines(
        f"The loss of {DEPTH} layers with tanh while they train.", rows,
        x=range(1, STEPS + 1), x_name="steps", y_name="loss",
    )  # fmt: skip


def _losses(net: nn.Module, x: Tensor, target: Tensor) -> list[float]:
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    losses = []
    for _ in range(STEPS):
        loss = nn.functional.mse_loss(net(x), target)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses
