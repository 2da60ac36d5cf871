"""What may be done to a forward while it is written anew, below the level of plans."""

from __future__ import annotations

import gc
import operator
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from skipway import rewire
from skipway._errors import RewireError
from skipway._rewire._code._classes import rewired_class
from skipway._rewire._code._edits import Gather, Join, Swap
from skipway._rewire._code._loops import folded
from skipway._rewire._code._reading import Reading
from skipway._rewire._code._statements import Line


class Block(nn.Module):
    def __init__(self, narrow: bool = False) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Linear(4, 4) for _ in range(3))
        self.down = nn.Linear(4, 4) if narrow else None

    def forward(self, x: Tensor) -> Tensor:
        identity = x
        out = self.b(torch.relu(self.a(x)))
        if self.down is not None:
            identity = self.down(x)
        out += identity
        return self.c(out)


def _edit_of(net: nn.Module, x: Tensor, text: str) -> tuple[str, Tensor]:
    reading = Reading(net, "")
    node = next(node for node in reading.nodes if node.target is operator.add)
    page = reading.page([Swap(node, text)], {})
    net.__class__ = rewired_class(type(net), page.text)
    return page.text, net(x)


def test_a_sum_in_place_becomes_another_rule() -> None:
    net, x = Block(), torch.randn(3, 4)
    net.rule = nn.Bilinear(4, 4, 4)
    expected = net.c(net.rule(net.b(torch.relu(net.a(x))), x))
    text, output = _edit_of(net, x, "self.rule({0}, {1})")
    assert "out = self.rule(self.b(torch.relu(out)), x)" in text
    torch.testing.assert_close(output, expected, rtol=0, atol=0)


def test_a_sum_that_is_cut_takes_its_projection_with_it() -> None:
    net, x = Block(narrow=True), torch.randn(3, 4)
    text, output = _edit_of(net, x, "{0}")
    assert "down" not in text
    torch.testing.assert_close(output, net.c(net.b(torch.relu(net.a(x)))), rtol=0, atol=0)


class Total(nn.Module):
    """Of all there is, with weights that tell the places apart."""

    def forward(self, parts: list[Tensor]) -> Tensor:
        total = torch.zeros_like(parts[0])
        for number, part in enumerate(parts, 1):
            total = total + number * part
        return total


def test_a_dense_block_keeps_what_its_layers_gave_before_they_read_the_list() -> None:
    class Three(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(4))

        def forward(self, x: Tensor) -> Tensor:
            for layer in self.layers:
                x = torch.tanh(layer(x))
            return x

    net, x = Three(), torch.randn(3, 4)
    reading = Reading(net, "")
    taps = tuple(n for n in reading.nodes if n.op == "call_module")[:3]
    merges = (None, "self.total({skips})", "self.total({skips})")
    page = reading.page([Gather(taps, merges, frozenset(taps[:1]))], {})
    a = net.layers[0](x)
    b = net.layers[1](torch.tanh(a))
    c = net.layers[2](torch.tanh(a + 2 * b))
    expected = torch.tanh(net.layers[3](torch.tanh(a + 2 * b + 3 * c)))
    net.total = Total()
    net.__class__ = rewired_class(Three, page.text)
    assert "skips = [x.clone()]" in page.text
    torch.testing.assert_close(net(x), expected)


def test_skips_that_cross_have_names_of_their_own() -> None:
    net, x = Block(), torch.randn(3, 4)
    reading = Reading(net, "")
    a, b, c = (n for n in reading.nodes if n.op == "call_module")
    page = reading.page([Join(a, c, "{skip} + {x}"), Join(b, c, "{x} - {skip}")], {})
    first = net.a(x)
    second = net.b(torch.relu(first))
    expected = net.c(second + x) + first - second
    net.__class__ = rewired_class(Block, page.text)
    torch.testing.assert_close(net(x), expected)


# Loops


def _folded(text: str) -> str:
    lines = [Line(each) for each in text.strip("\n").splitlines()]
    return "\n".join(line.text for line in folded(lines))


@pytest.mark.parametrize(
    ("flat", "expected"),
    [
        (
            "        x = a[0](x)\n        x = a[1](x)\n        x = a[2](x)",
            "        for i in range(3):\n            x = a[i](x)",
        ),
        (
            "        x = a[1](x)\n        x = a[3](x, 2)\n        x = a[5](x)",
            "        x = a[1](x)\n        x = a[3](x, 2)\n        x = a[5](x)",
        ),
        (
            "        x = a[3](x)\n        x = a[5](x)\n        x = a[7](x)\n        x = a[9](x)",
            "        for i in range(3, 11, 2):\n            x = a[i](x)",
        ),
        (
            "        x = a(x)\n        x = a(x)\n        x = a(x)\n        return x",
            "        for _ in range(3):\n            x = a(x)\n        return x",
        ),
        (
            "        i = a[9](i, 0.5)\n        i = a[8](i, 0.5)\n        i = a[7](i, 0.5)",
            "        for j in range(3):\n            i = a[9 - j](i, 0.5)",
        ),
        (
            "        x = a[0](x)\n        x = a[1](x)\n        x = a[3](x)",
            "        x = a[0](x)\n        x = a[1](x)\n        x = a[3](x)",
        ),
    ],
)
def test_lines_that_repeat_become_a_loop(flat: str, expected: str) -> None:
    assert _folded(flat) == expected


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 3)), max_size=30))
def test_a_loop_does_what_the_lines_did(calls: list[tuple[int, int, int]]) -> None:
    lines = [Line(f"        seen({which}, {a} + {b})") for which, a, b in calls]
    for body in (lines, folded(lines)):
        found: list[tuple[int, int]] = []
        code = "def run(seen):\n        pass\n" + "\n".join(line.text for line in body)
        space: dict[str, Any] = {}
        exec(code, space)
        space["run"](lambda which, value, found=found: found.append((which, value)))
        assert found == [(which, a + b) for which, a, b in calls]


def test_the_garbage_collector_waits_and_goes_on():
    seen = []

    class Looks(nn.Sequential):
        def forward(self, x):
            seen.append(gc.isenabled())
            return super().forward(x)

    net = Looks(*(nn.Linear(4, 4) for _ in range(6)))
    rewire(net, torch.randn(2, 4))
    assert seen
    assert not any(seen)
    assert gc.isenabled()
    with pytest.raises(RewireError):
        rewire(nn.Sequential(nn.Linear(4, 4)), torch.randn(2, 4))
    assert gc.isenabled()
