"""A small transformer with value residuals: every attention also reads the first layer's values.

    python examples/value_residual.py [STEPS]

Two character-level transformers, alike but for the value residual (Zhou et al. 2024,
arXiv:2410.17897), learn the source code of a module of Python's library; the text they never saw
is its last tenth. One seed, a few hundred steps: it shows how to build one, it proves nothing.
"""

from __future__ import annotations

import argparse
import inspect
import sys

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skipway.nn import Skip, ValueResidual

WIDTH, HEADS, LAYERS, CONTEXT, BATCH = 64, 4, 4, 64, 16


class Attention(nn.Module):
    """Causal self-attention whose values may be mixed with those of the first layer."""

    def __init__(self, mixes: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.mix = ValueResidual() if mixes else None

    def forward(self, x: Tensor, v_1: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return what is added to the stream, and the first layer's values."""
        heads = self.qkv(self.norm(x)).unflatten(-1, (3, HEADS, -1)).transpose(1, 3)
        q, k, v = heads.unbind(2)
        v_1 = v if v_1 is None else v_1
        if self.mix is not None:
            v = self.mix(v_1, v)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(y.transpose(1, 2).flatten(2)), v_1


class Transformer(nn.Module):
    """A decoder; `mixes` gives every attention but the first a value residual."""

    def __init__(self, characters: int, mixes: bool) -> None:
        super().__init__()
        self.embed = nn.Embedding(characters, WIDTH)
        self.place = nn.Parameter(0.02 * torch.randn(CONTEXT, WIDTH))
        self.attentions = nn.ModuleList(Attention(mixes and i > 0) for i in range(LAYERS))
        self.mlps = nn.ModuleList(Skip(_mlp()) for _ in range(LAYERS))
        self.head = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, characters))

    def forward(self, text: Tensor) -> Tensor:
        """Return the scores of the next character, `(batch, context, characters)`."""
        x, v_1 = self.embed(text) + self.place, None
        for attention, mlp in zip(self.attentions, self.mlps, strict=True):
            y, v_1 = attention(x, v_1)
            x = mlp(x + y)
        scores: Tensor = self.head(x)
        return scores


def _mlp() -> nn.Module:
    hidden = nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH)
    return nn.Sequential(nn.LayerNorm(WIDTH), *hidden)


def _loss(model: nn.Module, text: Tensor, starts: Tensor) -> Tensor:
    windows = text[starts[:, None] + torch.arange(CONTEXT + 1)]
    return F.cross_entropy(model(windows[:, :-1]).flatten(0, 1), windows[:, 1:].flatten())


def train(mixes: bool, text: Tensor, steps: int) -> float:
    """Return the loss on unseen text, nats a character, after so many steps."""
    torch.manual_seed(0)
    model = Transformer(int(text.max()) + 1, mixes)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    known, unseen = text[: len(text) * 9 // 10], text[len(text) * 9 // 10 :]
    for _ in range(steps):
        optimizer.zero_grad()
        _loss(model, known, torch.randint(len(known) - CONTEXT, (BATCH,))).backward()
        optimizer.step()
    with torch.no_grad():
        return _loss(model, unseen, torch.arange(0, len(unseen) - CONTEXT - 1, CONTEXT)).item()


def main(steps: int) -> None:
    """Train both and print their losses."""
    source = inspect.getsource(argparse)
    numbers = {character: number for number, character in enumerate(sorted(set(source)))}
    text = torch.tensor([numbers[character] for character in source])
    for name, mixes in (("plain attention", False), ("value residual", True)):
        print(f"{name:<16} {train(mixes, text, steps):.3f} nats a character", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
