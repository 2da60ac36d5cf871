"""The networks of the patients that read sequences."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Steps(nn.Module):
    """A recurrent cell called once for each step of a sequence, and a head on its last state.

    Args:
        cell: rnn, lstm or gru.
        width: of the state.
        gain: of the recurrent weights' orthogonal start, `None` for PyTorch's.
        remember: the bias of an LSTM's forget gate.
        whole: the whole sequence in one call of `nn.RNN`, `nn.LSTM` or `nn.GRU`.
    """

    def __init__(
        self, cell: str = "lstm", width: int = 24, gain: float | None = None,
        remember: float = 0.0, whole: bool = False, outputs: int = 4, skips: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        kinds = {"rnn": nn.RNNCell, "lstm": nn.LSTMCell, "gru": nn.GRUCell}
        wholes = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
        self.cell = wholes[cell](8, width, batch_first=True) if whole else kinds[cell](8, width)
        self.head = nn.Linear(width, outputs)
        self.whole, self.kind, self.width, self.skips = whole, cell, width, skips
        if gain is not None:
            nn.init.orthogonal_(self.cell.weight_hh, gain)
        if remember and not whole:
            with torch.no_grad():
                self.cell.bias_ih[width : 2 * width] = remember

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, outputs)`."""
        if self.whole:
            return self.head(self.cell(x)[0][:, -1])
        h = x.new_zeros(len(x), self.width)
        c, states = h, []
        for step in range(x.shape[1]):
            if self.kind == "lstm":
                h, c = self.cell(x[:, step], (h, c))
            else:
                h = self.cell(x[:, step], h)
            states.append(h)
        return self.head(torch.stack(states).sum(0) if self.skips else h)


class Block(nn.Module):
    """Attention and a feed-forward part, with layer norm before (pre) or after (post) each."""

    def __init__(self, width: int, pre: bool, scale: float) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.pre = pre
        with torch.no_grad():
            for layer in (self.out, self.down):
                layer.weight.mul_(scale)

    def attend(self, x: Tensor) -> Tensor:
        """Return what two heads attend to."""
        q, k, v = (part.unflatten(-1, (2, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(y.transpose(1, 2).flatten(2))

    def feed(self, x: Tensor) -> Tensor:
        """Return the feed-forward part."""
        return self.down(F.relu(self.up(x)))

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, length, width)`."""
        for norm, part in zip(self.norms, (self.attend, self.feed), strict=True):
            x = x + part(norm(x)) if self.pre else norm(x + part(x))
        return x


class Transformer(nn.Module):
    """A small causal transformer on tokens, for a class (from the mean) or the next token.

    Args:
        blocks: how many.
        pre: layer norm before each part, or after it (post).
        embedding: standard deviation of the embedding's start.
        scale: that the last weights of each branch are multiplied by.
        tied: the head is the embedding.
        outputs: classes; 0 for the next token.
    """

    def __init__(
        self, blocks: int = 2, width: int = 24, pre: bool = True, embedding: float = 1.0,
        scale: float = 1.0, tied: bool = False, outputs: int = 4, all_by: float = 1.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.embed = nn.Embedding(16, width)
        nn.init.normal_(self.embed.weight, std=embedding)
        self.place = nn.Parameter(0.1 * torch.randn(32, width))
        self.blocks = nn.ModuleList(Block(width, pre, scale) for _ in range(blocks))
        self.norm = nn.LayerNorm(width) if pre else nn.Identity()
        self.head = nn.Linear(width, outputs or 16, bias=not tied)
        if tied:
            self.head.weight = self.embed.weight
        self.outputs, self.all_by = outputs, all_by

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, classes)` or `(batch, classes, length)`."""
        x = self.all_by * (self.embed(x) + self.place[: x.shape[1]])
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        if self.outputs:
            return self.head(x.mean(1))
        return self.head(x).transpose(1, 2)


class Bag(nn.Module):
    """The mean of the embeddings of a sequence, optionally normalised, then two layers."""

    def __init__(self, width: int = 24, embedding: float = 1.0, norm: bool = False) -> None:
        super().__init__()
        self.embed = nn.Embedding(16, width)
        nn.init.normal_(self.embed.weight, std=embedding)
        self.norm = nn.LayerNorm(width) if norm else nn.Identity()
        self.hidden, self.head = nn.Linear(width, width), nn.Linear(width, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 4)`."""
        return self.head(F.relu(self.hidden(self.norm(self.embed(x).mean(1)))))
