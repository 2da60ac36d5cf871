"""The source that is shown runs, is formatted, and speaks with the names of the user's code."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pasted import pasted
from skipway import Rewiring, rewire
from test_rewire_architectures import Autoencoder, Stacked, TorchBlock, Transformer
from zoo import ZOO, Blocks, Plain, Recurrent

each_way = pytest.mark.parametrize("how", ["add", "cat", "dense"])
DEEP = ["plain", "shared layer", "recurrent", "blocks, narrowing", "checkpointed, deep",
        "keywords and dropout, deep", "narrowing", "in-place relu, deep"]  # fmt: skip
NETS: dict[str, Any] = {
    **{e.name: (e.build, e.inputs) for e in ZOO if e.name in DEEP},
    "transformer": (Transformer, lambda: torch.randint(11, (2, 5))),
    "torch's attention": (lambda: Transformer(TorchBlock), lambda: torch.randint(11, (2, 5))),
    "recurrent stack": (Stacked, lambda: torch.randn(2, 5, 3)),
    "autoencoder": (Autoencoder, lambda: torch.randn(2, 1, 8, 8)),
    "deep": (lambda: Plain(depth=24), lambda: torch.randn(2, 4)),
    "long recurrent": (lambda: Recurrent(20), lambda: torch.randn(2, 20, 3)),
}


def _run(model: Any, inputs: Any) -> Tensor:
    torch.manual_seed(3)
    output = model(**inputs) if isinstance(inputs, dict) else model(inputs)
    return next(iter(output.values())) if isinstance(output, dict) else output


def _made(name: str, **options: Any) -> tuple[Rewiring, Any]:
    build, inputs = NETS[name]
    given = inputs()
    return rewire(build(), given, **options), given


@pytest.mark.parametrize("name", NETS)
@each_way
@pytest.mark.parametrize("preserve", [False, True])
def test_the_source_gives_the_same_outputs(name: str, how: Any, preserve: bool) -> None:
    rewiring, inputs = _made(name, how=how, preserve=preserve)
    twin = pasted(rewiring)
    assert twin is not None
    assert rewiring.model is not None
    for mode in (True, False):
        expected = _run(rewiring.model.train(mode), inputs)
        torch.testing.assert_close(_run(twin.train(mode), inputs), expected, rtol=0, atol=0)


@pytest.mark.skipif(shutil.which("ruff") is None, reason="needs ruff")
@each_way
def test_the_source_is_formatted(how: Any, tmp_path: Path) -> None:
    for number, name in enumerate(NETS):
        text = _made(name, how=how)[0].source()
        (tmp_path / f"page_{number}.py").write_text(text)
    command = ["ruff", "format", "--check", "--isolated", "--line-length", "100", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@each_way
def test_a_regular_plan_stays_a_loop(how: Any) -> None:
    source = rewire(Plain(depth=24), torch.randn(2, 4), how=how).source()
    loop = "for i in range(0, 24, 2):" if how == "add" else "for i in range(12):"
    assert loop in source
    assert len(source.splitlines()) < 24


def test_steps_of_a_recurrent_net_stay_a_loop() -> None:
    source = rewire(Recurrent(40), torch.randn(2, 40, 3)).source()
    assert "range(" in source
    assert len(source.splitlines()) < 30


def test_new_modules_that_count_up_are_one_line() -> None:
    source = rewire(Plain(depth=24), torch.randn(2, 4), how="dense").source()
    assert "nn.ModuleList(skipway.nn.DenseFuse(8, n) for n in range(2, 14))" in source


def test_new_modules_of_several_kinds_are_a_list() -> None:
    rewiring = rewire(Blocks(), torch.randn(2, 1, 8, 8), how="cat")
    assert "self.fuses = nn.ModuleList(\n            [\n" in rewiring.source()
    assert "                skipway.nn.Fuse(4, dims=2),\n" in rewiring.source()


class Named(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(5))

    def forward(self, tokens: Tensor) -> Tensor:
        first, *rest = self.layers
        state = first(tokens)
        gate: Tensor = torch.sigmoid(tokens)
        for layer in rest:
            inner = F.silu(state)
            state = layer(inner) * gate
        return state


def test_values_are_called_what_the_user_calls_them() -> None:
    source = rewire(Named(), torch.randn(2, 6)).source()
    assert "state = self.layers[0](tokens)" in source
    assert "gate = torch.sigmoid(tokens)" in source
    assert "inner = " in source or "self.layers[1](F.silu(state))" in source
    assert " x = " not in source


class CallsItSkip(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(6))

    def forward(self, skip: Tensor) -> Tensor:
        x = self.layers[0](skip)
        for layer in self.layers[1:]:
            x = layer(torch.tanh(x))
        return x + skip.mean()


def test_a_name_that_is_taken_is_left_to_the_user() -> None:
    net, x = CallsItSkip(), torch.randn(2, 6)
    rewiring = rewire(net, x)
    assert "skip_2 = x" in rewiring.source()
    y = net.layers[0](x)
    for at in (1, 3):
        y = y + net.layers[at + 1](torch.tanh(net.layers[at](torch.tanh(y))))
    expected = net.layers[5](torch.tanh(y)) + x.mean()
    assert rewiring.model is not None
    torch.testing.assert_close(rewiring.model(x), expected)
