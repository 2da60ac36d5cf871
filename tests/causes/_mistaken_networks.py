"""Networks of the fifth held-out set with mistakes that people ask others about."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from . import _networks as networks


class Listed(nn.Module):
    """The first layers are kept in a list that PyTorch does not know of, or (`known`) does."""

    def __init__(self, known: bool = False, narrow: int = 5) -> None:
        super().__init__()
        layers = [nn.Linear(64, 32), nn.Linear(32, narrow)]
        self.layers = nn.ModuleList(layers) if known else layers
        self.head = nn.Linear(narrow, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 10)`."""
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.head(x)


class Recurrent(nn.Module):
    """PyTorch's LSTM, which takes time first unless it is told that the batch is.

    Args:
        batch_first: whether it is told.
        normed: what it reads is brought off the flat ends of its gates by a layer norm.
    """

    def __init__(self, batch_first: bool = True, normed: bool = False, width: int = 24) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(8) if normed else nn.Identity()
        self.lstm, self.head = nn.LSTM(8, width, batch_first=batch_first), nn.Linear(width, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 4)`."""
        return self.head(self.lstm(self.norm(x))[0][:, -1])


class LeNet(nn.Module):
    """LeNet-5's order of layers on small images (LeCun et al. 1998), weights times `start`."""

    def __init__(self, act: str = "sigmoid", start: float = 1.0) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in ((1, 6), (6, 16)))
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise((64, 48, 32, 10)))
        self.act = networks.ACTIVATIONS[act]
        with torch.no_grad():
            for layer in (*self.convs, *self.layers):
                layer.weight.mul_(start)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 10)`."""
        for conv in self.convs:
            x = F.avg_pool2d(self.act(conv(x)), 2)
        x = x.flatten(1)
        for layer in self.layers[:-1]:
            x = self.act(layer(x))
        return self.layers[-1](x)


class Vgg(nn.Module):
    """Thirteen convolutions without a norm (Simonyan and Zisserman 2015), two max poolings.

    Args:
        he: started as He et al. 2015 have it, and not as PyTorch does.
        skips: a convolution that keeps the shape adds to what it reads.
    """

    def __init__(self, he: bool = False, skips: bool = False, width: int = 12) -> None:
        super().__init__()
        sizes = pairwise((1, *[width] * 13))
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in sizes)
        self.head, self.skips = nn.Linear(4 * width, 10), skips
        if he:
            for conv in self.convs:
                nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
                nn.init.zeros_(conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 10)`."""
        for index, conv in enumerate(self.convs):
            y = F.relu(conv(x))
            x = x + y if self.skips and index else y
            x = F.max_pool2d(x, 2) if index in (3, 8) else x
        return self.head(x.flatten(1))


class Words(nn.Module):
    """A bag of words; what the `vocabulary` lacks is read as word 0."""

    def __init__(self, vocabulary: int = 16, width: int = 24) -> None:
        super().__init__()
        self.embed, self.vocabulary = nn.Embedding(17, width), vocabulary
        self.hidden, self.head = nn.Linear(width, width), nn.Linear(width, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 4)`."""
        x = torch.where(x < self.vocabulary, x + 1, torch.zeros_like(x))
        return self.head(F.relu(self.hidden(self.embed(x).mean(1))))


class Padded(nn.Module):
    """Attention by hand, and a mask of what is padding (token 16), or of what is not."""

    def __init__(self, inverted: bool = False, width: int = 24) -> None:
        super().__init__()
        self.embed, self.qkv = nn.Embedding(17, width), nn.Linear(width, 3 * width)
        self.up, self.head = nn.Linear(width, width), nn.Linear(width, 4)
        self.inverted = inverted

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 4)`."""
        hidden = (x == 16) != self.inverted
        x = self.embed(x)
        q, k, v = self.qkv(x).chunk(3, 2)
        scores = q @ k.transpose(1, 2) / q.shape[2] ** 0.5
        x = x + scores.masked_fill(hidden[:, None], -torch.inf).softmax(2) @ v
        x = (x * ~hidden[..., None]).sum(1) / (~hidden).sum(1, keepdim=True)
        return self.head(F.relu(self.up(x)))


class Speech(nn.Module):
    """Symbols at each `stride`-th step of a sequence, the first of them being none."""

    def __init__(self, stride: int = 1, width: int = 24, symbols: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv1d(8, width, 3, padding=1, stride=stride)
        self.gru = nn.GRU(width, width, batch_first=True)
        self.head = nn.Linear(width, symbols + 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return log-probabilities `(batch, length / stride, symbols + 1)`."""
        x = F.relu(self.conv(x.transpose(1, 2))).transpose(1, 2)
        return self.head(self.gru(x)[0]).log_softmax(2)


class Halves(nn.Module):
    """Arithmetic in float16 and a norm by the root of the mean square, in float32 if `careful`."""

    def __init__(self, dtype: str = "float16", careful: bool = False, width: int = 40) -> None:
        super().__init__()
        self.first, self.second, self.head = (
            nn.Linear(64, width), nn.Linear(width, width), nn.Linear(width, 10),
        )  # fmt: skip
        self.dtype, self.careful = getattr(torch, dtype), careful

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 10)`."""
        x = x.to(self.dtype)
        for layer in (self.first, self.second):
            x = F.linear(x, layer.weight.to(self.dtype), layer.bias.to(self.dtype))
            wide = x.float() if self.careful else x
            x = F.silu((wide * (wide.pow(2).mean(1, keepdim=True) + 1e-5).rsqrt()).to(self.dtype))
        return F.linear(x, self.head.weight.to(self.dtype), self.head.bias.to(self.dtype)).float()


class Series(nn.Module):
    """A transformer that reads numbers, each as a vector of `width`, for the next number."""

    def __init__(self, width: int = 16, length: int = 12) -> None:
        super().__init__()
        self.read = nn.Linear(1, width)
        one = nn.TransformerEncoderLayer(width, 1, 32, 0.0, batch_first=True)
        self.body = nn.TransformerEncoder(one, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width * length, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 1)`."""
        return self.head(self.body(self.read(x[..., None])).flatten(1))


class Ended(nn.Module):
    """An MLP with something at its end: softmax, tanh or nothing."""

    def __init__(self, end: str = "none", inputs: int = 64, outputs: int = 1) -> None:
        super().__init__()
        self.net, self.end = networks.MLP(inputs=inputs, outputs=outputs), end

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, outputs)`."""
        x = self.net(x)
        return {"none": x, "softmax": x.softmax(1), "tanh": torch.tanh(x)}[self.end]


class Cosines(nn.Module):
    """Cosines between features and a vector for each class, times `scale` (Wang et al. 2018)."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.net, self.scale = networks.MLP(outputs=32), scale
        self.classes = nn.Parameter(torch.randn(10, 32))

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 10)`."""
        return self.scale * F.normalize(self.net(x), dim=1) @ F.normalize(self.classes, dim=1).T


class Sparse(nn.Module):
    """An autoencoder through many units of which few are to be on."""

    def __init__(self, units: int = 128) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Linear(64, units), nn.Linear(units, 64)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the image again, and the units."""
        units = F.relu(self.encoder(x))
        return self.decoder(units), units


class Sigmoids(nn.Module):
    """An autoencoder of nothing but sigmoids, weights times `start`."""

    def __init__(self, start: float = 1.0, act: str = "sigmoid") -> None:
        super().__init__()
        sizes = pairwise((64, 48, 32, 16, 32, 48, 64))
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in sizes)
        self.act = networks.ACTIVATIONS[act]
        with torch.no_grad():
            for layer in self.layers:
                layer.weight.mul_(start)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(batch, 64)`."""
        for layer in self.layers[:-1]:
            x = self.act(layer(x))
        return torch.sigmoid(self.layers[-1](x))
