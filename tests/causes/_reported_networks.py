"""Networks of the fifth held-out set that train: kinds which the other sets do not have."""

from __future__ import annotations

import copy
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Vision(nn.Module):
    """A transformer on patches of 2 x 2, its head starting at zero (Dosovitskiy et al. 2021)."""

    def __init__(self, blocks: int = 3, width: int = 32) -> None:
        super().__init__()
        self.patch, self.head = nn.Linear(4, width), nn.Linear(width, 10)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.place = nn.Parameter(0.02 * torch.randn(17, width))
        one = nn.TransformerEncoderLayer(
            width, 4, 2 * width, 0.0, F.gelu, batch_first=True, norm_first=True
        )
        self.body = nn.TransformerEncoder(one, blocks, nn.LayerNorm(width), False)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 10)`."""
        patches = F.unfold(x.view(-1, 1, 8, 8), 2, stride=2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), 1, -1), self.patch(patches)], 1) + self.place
        return self.head(self.body(x)[:, 0])


class Siren(nn.Module):
    """Sines of sines, the first of a high frequency (Sitzmann et al. 2020)."""

    def __init__(self, width: int = 48, frequency: float = 30.0) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(2, width), nn.Linear(width, 1)
        self.body = nn.ModuleList(nn.Linear(width, width) for _ in range(2))
        self.frequency = frequency
        nn.init.uniform_(self.first.weight, -1 / 2, 1 / 2)
        for layer in (*self.body, self.head):
            bound = (6 / width) ** 0.5 / frequency
            nn.init.uniform_(layer.weight, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 1)`."""
        for layer in (self.first, *self.body):
            x = torch.sin(self.frequency * layer(x))
        return self.head(x)


class Flow(nn.Module):
    """Affine couplings, each half moved by what the other one says (Dinh et al. 2017)."""

    def __init__(self, couplings: int = 6, width: int = 32) -> None:
        super().__init__()
        self.parts = nn.ModuleList(
            nn.Sequential(nn.Linear(1, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
                          nn.Linear(width, 2))
            for _ in range(couplings)
        )  # fmt: skip

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return what each point of the plane becomes, and the logarithm of the volume."""
        one, two = x[:, :1], x[:, 1:]
        volume = x.new_zeros(len(x))
        for part in self.parts:
            scale, move = part(one).chunk(2, 1)
            scale = torch.tanh(scale)
            one, two = two * scale.exp() + move, one
            volume = volume + scale[:, 0]
        return torch.cat([one, two], 1), volume


class Mixture(nn.Module):
    """Weights, means and widths of five bells for each number (Bishop 1994)."""

    def __init__(self, width: int = 32, bells: int = 5) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(1, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh()
        )
        self.head = nn.Linear(width, 3 * bells)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return log-weights, means and log-widths, `(batch, bells)`."""
        weight, mean, log = self.head(self.body(x)).chunk(3, 1)
        return weight.log_softmax(1), mean, log


class Chain(nn.Module):
    """Labels of a sequence and what may follow what (Lafferty et al. 2001)."""

    def __init__(self, width: int = 24, tokens: int = 16) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(tokens, width), nn.Linear(width, tokens)
        self.follow = nn.Parameter(torch.zeros(tokens, tokens))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores `(batch, length, tokens)` of labels, and of pairs of them."""
        return self.head(torch.relu(self.embed(x))), self.follow


class Capsules(nn.Module):
    """Vectors that agree on which vectors they belong to (Sabour et al. 2017)."""

    def __init__(self, first: int = 12, size: int = 6, turns: int = 3) -> None:
        super().__init__()
        self.read = nn.Linear(64, first * size)
        self.vote = nn.Parameter(0.3 * torch.randn(first, 10, size, size))
        self.first, self.turns = first, turns

    def forward(self, x: Tensor) -> Tensor:
        """Return the lengths of ten vectors, `(batch, 10)`."""
        low = _squash(self.read(x).unflatten(1, (self.first, -1)))
        votes = torch.einsum("bis,ijst->bijt", low, self.vote)
        logits = x.new_zeros(len(x), self.first, 10)
        for turn in range(self.turns):
            high = _squash((logits.softmax(2)[..., None] * votes).sum(1))
            if turn < self.turns - 1:
                logits = logits + (votes * high[:, None]).sum(3).detach()
        return (high**2).sum(2).add(1e-8).sqrt()


def _squash(x: Tensor) -> Tensor:
    squares = (x**2).sum(-1, keepdim=True)
    return squares / (1 + squares) * x / (squares + 1e-8).sqrt()


class Hyper(nn.Module):
    """The weights of two layers are made from a short code each (Ha et al. 2017)."""

    def __init__(self, code: int = 8, width: int = 32) -> None:
        super().__init__()
        self.codes = nn.Parameter(torch.randn(2, code))
        self.first, self.second = nn.Linear(code, 64 * width), nn.Linear(code, 10 * width)
        for layer, fan in ((self.first, 64), (self.second, width)):
            nn.init.normal_(layer.weight, std=(2 / fan / code) ** 0.5)
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 10)`."""
        x = F.relu(x @ self.first(self.codes[0]).view(64, self.width))
        return x @ self.second(self.codes[1]).view(self.width, 10)


class Tied(nn.Module):
    """An autoencoder whose way back is the transpose of the way there."""

    def __init__(self, sizes: tuple[int, ...] = (64, 40, 16)) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.back = nn.ParameterList(torch.zeros(a) for a in sizes[:-1])

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 64)`."""
        for layer in self.layers:
            x = torch.tanh(layer(x))
        for index in reversed(range(len(self.layers))):
            x = F.linear(x, self.layers[index].weight.T, self.back[index])
            x = torch.tanh(x) if index else x
        return x


class Codes(nn.Module):
    """An autoencoder by way of a codebook, as van den Oord et al. 2017 start it."""

    def __init__(self, codes: int = 32, size: int = 8, parts: int = 4) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, parts * size))
        self.decoder = nn.Sequential(nn.Linear(parts * size, 64), nn.ReLU(), nn.Linear(64, 64))
        self.book = nn.Embedding(codes, size)
        nn.init.uniform_(self.book.weight, -1 / codes, 1 / codes)
        self.size = size

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the image again, what the encoder says, the codes, and what the decoder reads."""
        said = self.encoder(x)
        near = torch.cdist(said.view(-1, self.size), self.book.weight).argmin(1)
        code = self.book(near).view_as(said)
        passed = said + (code - said).detach()
        return self.decoder(passed), said, code, passed


class Scan(nn.Module):
    """A state that each step keeps or forgets as it says itself (Gu and Dao 2023)."""

    def __init__(self, width: int = 16, state: int = 4) -> None:
        super().__init__()
        self.read, self.head = nn.Linear(8, width), nn.Linear(width, 4)
        self.rate = nn.Linear(width, width)
        self.enter, self.leave = nn.Linear(width, state), nn.Linear(width, state)
        self.fade = nn.Parameter(torch.arange(1.0, state + 1).log().repeat(width, 1))
        self.past = nn.Parameter(torch.ones(width))
        nn.init.constant_(self.rate.bias, -2.0)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 4)`."""
        x = F.silu(self.read(x))
        rate, enter, leave = F.softplus(self.rate(x)), self.enter(x), self.leave(x)
        state = x.new_zeros(len(x), *self.fade.shape)
        for step in range(x.shape[1]):
            kept = torch.exp(-rate[:, step, :, None] * self.fade.exp())
            state = kept * state + (rate * x)[:, step, :, None] * enter[:, step, None]
        return self.head((state * leave[:, -1, None]).sum(2) + self.past * x[:, -1])


class Splines(nn.Module):
    """A learned function of one number on every edge (Liu et al. 2024)."""

    def __init__(self, sizes: tuple[int, ...] = (64, 16, 10), bumps: int = 6) -> None:
        super().__init__()
        self.bases = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.curves = nn.ParameterList(
            0.1 * torch.randn(a, bumps, b) / a**0.5 for a, b in pairwise(sizes)
        )
        self.register_buffer("places", torch.linspace(-1, 1, bumps))

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 10)`."""
        for base, curve in zip(self.bases, self.curves, strict=True):
            bumps = torch.exp(-8 * (torch.tanh(x)[..., None] - self.places) ** 2)
            x = base(F.silu(x)) + torch.einsum("big,igo->bo", bumps, curve)
        return x


class MeanTeacher(nn.Module):
    """A student and the slow mean of what it has been (Tarvainen and Valpola 2017)."""

    def __init__(self, width: int = 48, keep: float = 0.95) -> None:
        super().__init__()
        self.student = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))
        self.teacher, self.keep = copy.deepcopy(self.student).requires_grad_(False), keep

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return both answers, `(batch, 10)`."""
        with torch.no_grad():
            if self.training:
                pairs = zip(self.teacher.parameters(), self.student.parameters(), strict=True)
                for slow, fast in pairs:
                    slow.lerp_(fast, 1 - self.keep)
            target = self.teacher(x)
        noisy = x + 0.1 * torch.randn_like(x) if self.training else x
        return self.student(noisy), target


class Ratings(nn.Module):
    """What a person thinks of a thing: the product of two short codes, and two biases."""

    def __init__(self, people: int = 200, things: int = 150, size: int = 6) -> None:
        super().__init__()
        self.people, self.things = nn.Embedding(people, size), nn.Embedding(things, size)
        self.kind, self.fame = nn.Embedding(people, 1), nn.Embedding(things, 1)
        for table in (self.people, self.things):
            nn.init.normal_(table.weight, std=0.3)
        for table in (self.kind, self.fame):
            nn.init.zeros_(table.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 1)` for `(batch, 2)` numbers of a person and a thing."""
        who, what = x.unbind(1)
        product = (self.people(who) * self.things(what)).sum(1, keepdim=True)
        return product + self.kind(who) + self.fame(what)
