"""Networks as people write them, for `models.py`: no library, every habit once."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class DeepMLP(nn.Module):
    def __init__(self, depth: int = 30) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(8, 32), nn.Linear(32, 4)
        self.hidden = nn.ModuleList(nn.Linear(32, 32) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for layer in self.hidden:
            x = layer(torch.tanh(x))
        return self.head(x)


class ResidualMLP(DeepMLP):
    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for layer in self.hidden:
            x = x + torch.relu(layer(x))
        return self.head(x)


class PlainCNN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, padding=1)]
        for _ in range(12):
            layers += [nn.BatchNorm2d(16), nn.ReLU(inplace=True), nn.Conv2d(16, 16, 3, padding=1)]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).mean((2, 3)))


class SEBlock(nn.Module):
    def __init__(self, width: int, out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, out, 3, stride, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(out), nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.fc = nn.Sequential(nn.Linear(out, 4), nn.ReLU(), nn.Linear(4, out), nn.Sigmoid())
        self.shortcut = nn.Sequential()
        if stride != 1 or width != out:
            self.shortcut = nn.Sequential(nn.Conv2d(width, out, 1, stride), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        b, c, _, _ = out.size()
        out = out * self.fc(F.adaptive_avg_pool2d(out, 1).view(b, c)).view(b, c, 1, 1)
        out += self.shortcut(x)
        return F.relu(out)


class SEResNet(nn.Module):
    """kuangliu's style: blocks made by a helper, F.relu, an empty Sequential as shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.width = 8
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8)
        self.layer1, self.layer2 = self._make(8, 2, 1), self._make(16, 2, 2)
        self.linear = nn.Linear(16, 4)

    def _make(self, out: int, count: int, stride: int) -> nn.Sequential:
        layers = []
        for each in [stride] + [1] * (count - 1):
            layers.append(SEBlock(self.width, out, each))
            self.width = out
        return nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        out = self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x)))))
        return self.linear(F.avg_pool2d(out, 4).flatten(1))


class PreActivation(nn.Module):
    """He et al. 2016: the norm first, the shortcut from behind it where the size changes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.norms = nn.ModuleList(nn.BatchNorm2d(8) for _ in range(6))
        self.convs = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1) for _ in range(6))
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for i in range(0, 6, 2):
            shortcut = x
            out = self.convs[i](F.relu(self.norms[i](x)))
            out = self.convs[i + 1](F.relu(self.norms[i + 1](out)))
            x = out + shortcut
        return self.head(F.adaptive_avg_pool2d(x, 1).flatten(1))


class CausalSelfAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.c_attn, self.c_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.heads = heads

    def forward(self, x: Tensor) -> Tensor:
        B, T, C = x.size()  # noqa: N806  # as in nanoGPT
        q, k, v = self.c_attn(x).split(C, dim=2)
        q, k, v = (t.view(B, T, self.heads, C // self.heads).transpose(1, 2) for t in (q, k, v))
        att = (q @ k.transpose(-2, -1)) / math.sqrt(k.size(-1))
        mask = torch.tril(torch.ones(T, T, device=x.device))
        att = F.softmax(att.masked_fill(mask == 0, float("-inf")), dim=-1)
        return self.c_proj((att @ v).transpose(1, 2).contiguous().view(B, T, C))


class GPTBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = CausalSelfAttention(width, 2)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        x = x + self.mlp(self.ln_2(x))
        return x  # noqa: RET504  # as people write it


class GPT(nn.Module):
    """nanoGPT: a ModuleDict, tied embeddings, a loss where targets are given."""

    block: type[nn.Module] = GPTBlock

    def __init__(self, width: int = 16, depth: int = 4) -> None:
        super().__init__()
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(20, width),
                "wpe": nn.Embedding(12, width),
                "h": nn.ModuleList([self.block(width) for _ in range(depth)]),  # type: ignore[call-arg]
                "ln_f": nn.LayerNorm(width),
            }
        )
        self.lm_head = nn.Linear(width, 20, bias=False)
        self.transformer.wte.weight = self.lm_head.weight

    def forward(self, idx: Tensor, targets: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        _, t = idx.size()
        pos = torch.arange(0, t, dtype=torch.long, device=idx.device)
        x = self.transformer.wte(idx) + self.transformer.wpe(pos)
        for block in self.transformer.h:
            x = block(x)
        logits = self.lm_head(self.transformer.ln_f(x))
        loss = None
        if targets is not None:
            loss = F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1))
        return logits, loss


class ParallelBlock(GPTBlock):
    """GPT-J's: attention and feed-forward side by side."""

    def forward(self, x: Tensor) -> Tensor:
        h = self.ln_1(x)
        return x + self.attn(h) + self.mlp(h)


class GPTJ(GPT):
    block = ParallelBlock


class PreNorm(nn.Module):
    def __init__(self, width: int, fn: nn.Module) -> None:
        super().__init__()
        self.norm, self.fn = nn.LayerNorm(width), fn

    def forward(self, x: Tensor, **kwargs: Any) -> Tensor:
        return self.fn(self.norm(x), **kwargs)


class LoopedViT(nn.Module):
    """lucidrains' style: pairs of layers in a ModuleList, the sums in the loop."""

    def __init__(self, width: int = 16, depth: int = 3) -> None:
        super().__init__()
        self.embed = nn.Linear(48, width)
        self.cls_token = nn.Parameter(torch.randn(1, 1, width))
        self.pos = nn.Parameter(torch.randn(1, 17, width))
        self.layers = nn.ModuleList([])
        for _ in range(depth):
            feed = nn.Sequential(nn.Linear(width, 32), nn.GELU(), nn.Linear(32, width))
            self.layers.append(
                nn.ModuleList([PreNorm(width, CausalSelfAttention(width, 2)), PreNorm(width, feed)])
            )
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 4))

    def forward(self, img: Tensor) -> Tensor:
        b = img.shape[0]
        x = img.unfold(2, 4, 4).unfold(3, 4, 4).permute(0, 2, 3, 1, 4, 5).reshape(b, 16, 48)
        x = torch.cat((self.cls_token.expand(b, -1, -1), self.embed(x)), dim=1)
        x += self.pos
        for attn, ff in self.layers:
            x = attn(x) + x
            x = ff(x) + x
        return self.head(x[:, 0])


class Universal(nn.Module):
    """One block that runs four times."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.block, self.head = nn.Embedding(20, 16), GPTBlock(16), nn.Linear(16, 20)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        for _ in range(4):
            x = self.block(x)
        return self.head(x)


class Encoder(nn.Module):
    def __init__(self, norm_first: bool = False) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            16, 2, 32, dropout=0.1, batch_first=True, norm_first=norm_first
        )
        self.embed = nn.Embedding(20, 16)
        self.encoder = nn.TransformerEncoder(layer, 3, enable_nested_tensor=not norm_first)
        self.head = nn.Linear(16, 4)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.encoder(self.embed(tokens)).mean(1))


class Translator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.source, self.target = nn.Embedding(20, 16), nn.Embedding(20, 16)
        self.transformer = nn.Transformer(16, 2, 2, 2, 32, batch_first=True)
        self.head = nn.Linear(16, 20)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(target.shape[1])
        x = self.transformer(self.source(source), self.target(target), tgt_mask=mask)
        return self.head(x)


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return x * (1 + scale.unsqueeze(1)) + shift.unsqueeze(1)


class DiTBlock(nn.Module):
    """A diffusion transformer's: the condition sets shift, scale and gate."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, elementwise_affine=False)
        self.norm2 = nn.LayerNorm(width, elementwise_affine=False)
        self.attn = CausalSelfAttention(width, 2)
        self.mlp = nn.Sequential(nn.Linear(width, 32), nn.GELU(), nn.Linear(32, width))
        self.ada = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = self.ada(c).chunk(6, dim=1)
        x = x + gate_a.unsqueeze(1) * self.attn(modulate(self.norm1(x), shift_a, scale_a))
        x = x + gate_m.unsqueeze(1) * self.mlp(modulate(self.norm2(x), shift_m, scale_m))
        return x  # noqa: RET504


class DiT(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.time = nn.Linear(8, 16), nn.Linear(1, 16)
        self.blocks = nn.ModuleList(DiTBlock(16) for _ in range(3))
        self.final = nn.Linear(16, 8)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        x, c = self.embed(x), self.time(t)
        for block in self.blocks:
            x = block(x, c)
        return self.final(x)


class DoubleConv(nn.Module):
    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.double_conv = nn.Sequential(
            nn.Conv2d(width, out, 3, padding=1, bias=False), nn.BatchNorm2d(out),
            nn.ReLU(inplace=True),
            nn.Conv2d(out, out, 3, padding=1, bias=False), nn.BatchNorm2d(out),
            nn.ReLU(inplace=True),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.double_conv(x)


class UNet(nn.Module):
    """milesial's: double convolutions, padding to the skip's size, concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.inc, self.down1, self.down2 = DoubleConv(3, 8), DoubleConv(8, 16), DoubleConv(16, 16)
        self.pool = nn.MaxPool2d(2)
        self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        self.up1, self.up2, self.outc = DoubleConv(32, 8), DoubleConv(16, 8), nn.Conv2d(8, 2, 1)

    def _join(self, x: Tensor, skip: Tensor) -> Tensor:
        x = self.up(x)
        dy, dx = skip.size(2) - x.size(2), skip.size(3) - x.size(3)
        return torch.cat([skip, F.pad(x, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])], dim=1)

    def forward(self, x: Tensor) -> Tensor:
        x1 = self.inc(x)
        x2 = self.down1(self.pool(x1))
        x3 = self.down2(self.pool(x2))
        x = self.up1(self._join(x3, x2))
        return self.outc(self.up2(self._join(x, x1)))


class AutoEncoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU(),
            nn.Conv2d(16, 16, 3, 2, 1), nn.ReLU(),
        )  # fmt: skip
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(16, 16, 2, 2), nn.ReLU(), nn.ConvTranspose2d(16, 8, 2, 2),
            nn.ReLU(), nn.ConvTranspose2d(8, 3, 2, 2),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))


class VAE(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc21, self.fc22 = nn.Linear(64, 32), nn.Linear(32, 8), nn.Linear(32, 8)
        self.fc3, self.fc4 = nn.Linear(8, 32), nn.Linear(32, 64)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = F.relu(self.fc1(x.view(-1, 64)))
        mu, logvar = self.fc21(h), self.fc22(h)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z)))), mu, logvar


class LSTMClassifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, 8)
        self.lstm = nn.LSTM(8, 16, num_layers=2, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(32, 4)

    def forward(self, tokens: Tensor) -> Tensor:
        _, (h, _) = self.lstm(self.embed(tokens))
        return self.fc(torch.cat((h[-2], h[-1]), dim=1))


class ResidualGRU(nn.Module):
    """Stacked recurrent layers with a sum around each, as in machine translation."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(20, 16), nn.Linear(16, 20)
        self.layers = nn.ModuleList(nn.GRU(16, 16, batch_first=True) for _ in range(4))

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        for i, layer in enumerate(self.layers):
            y, _ = layer(x)
            x = x + y if i > 0 else y
        return self.head(x)


class UnrolledRNN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.i2h, self.h2o = nn.Linear(3 + 16, 16), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.zeros(x.size(0), 16)
        for t in range(x.size(1)):
            hidden = torch.tanh(self.i2h(torch.cat((x[:, t], hidden), 1)))
        return self.h2o(hidden)


class TemporalBlock(nn.Module):
    """locuslab's TCN: weight norm, a chomp, a residual sum with an activation behind it."""

    def __init__(self, width: int, out: int, dilation: int) -> None:
        super().__init__()
        norm = nn.utils.parametrizations.weight_norm
        self.conv1 = norm(nn.Conv1d(width, out, 3, padding=2 * dilation, dilation=dilation))
        self.conv2 = norm(nn.Conv1d(out, out, 3, padding=2 * dilation, dilation=dilation))
        self.chomp = 2 * dilation
        self.downsample = nn.Conv1d(width, out, 1) if width != out else None
        self.relu, self.dropout = nn.ReLU(), nn.Dropout(0.2)

    def forward(self, x: Tensor) -> Tensor:
        out = self.dropout(self.relu(self.conv1(x)[:, :, : -self.chomp].contiguous()))
        out = self.dropout(self.relu(self.conv2(out)[:, :, : -self.chomp].contiguous()))
        res = x if self.downsample is None else self.downsample(x)
        return self.relu(out + res)


class WaveNet(nn.Module):
    """Gated dilated convolutions, a residual stream, and a second sum over all skips."""

    def __init__(self) -> None:
        super().__init__()
        self.start = nn.Conv1d(1, 8, 1)
        self.filters = nn.ModuleList(
            nn.Conv1d(8, 8, 3, padding=2**i, dilation=2**i) for i in range(4)
        )
        self.gates = nn.ModuleList(
            nn.Conv1d(8, 8, 3, padding=2**i, dilation=2**i) for i in range(4)
        )
        self.residuals = nn.ModuleList(nn.Conv1d(8, 8, 1) for _ in range(4))
        self.skips = nn.ModuleList(nn.Conv1d(8, 8, 1) for _ in range(4))
        self.end = nn.Conv1d(8, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x, total = self.start(x), 0
        for f, g, r, s in zip(self.filters, self.gates, self.residuals, self.skips, strict=True):
            z = torch.tanh(f(x)) * torch.sigmoid(g(x))
            total = total + s(z)
            x = x + r(z)
        return self.end(F.relu(total))


class GraphNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Linear(5, 16), nn.Linear(16, 3)
        self.layers = nn.ModuleList(nn.Linear(16, 16) for _ in range(4))

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        x = self.embed(x)
        for layer in self.layers:
            x = F.dropout(F.relu(layer(adjacency @ x)), 0.1, self.training) + x
        return self.head(x)


class PointNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.local = nn.Sequential(
            nn.Conv1d(3, 16, 1), nn.ReLU(), nn.Conv1d(16, 32, 1), nn.ReLU(), nn.Conv1d(32, 32, 1)
        )
        self.head = nn.Sequential(nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 4))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.max(self.local(x), 2)[0])


class DenseBlocks(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8 + 4 * 4, 4)
        self.layers = nn.ModuleList(nn.Conv2d(8 + 4 * i, 4, 3, padding=1) for i in range(4))

    def forward(self, x: Tensor) -> Tensor:
        features = [self.stem(x)]
        for layer in self.layers:
            features.append(layer(F.relu(torch.cat(features, 1))))
        return self.head(torch.cat(features, 1).mean((2, 3)))


class Mixer(nn.Module):
    """Transposes around a module, in one expression with the sum."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Linear(12, 16), nn.Linear(16, 4)
        self.norms = nn.ModuleList(nn.LayerNorm(16) for _ in range(4))
        self.tokens = nn.ModuleList(nn.Linear(8, 8) for _ in range(2))
        self.channels = nn.ModuleList(nn.Linear(16, 16) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        for i in range(2):
            x = x + self.tokens[i](self.norms[2 * i](x).transpose(1, 2)).transpose(1, 2)
            x = x + F.gelu(self.channels[i](self.norms[2 * i + 1](x)))
        return self.head(x.mean(dim=1))


class Siamese(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU())
        self.out = nn.Linear(16, 1)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.out(torch.abs(self.net(a) - self.net(b)))


def _tokens(length: int = 8) -> Tensor:
    return torch.randint(20, (2, length))


def _image(size: int = 16) -> Tensor:
    return torch.randn(2, 3, size, size)


NETWORKS: dict[str, tuple[Any, Any]] = {
    "deep MLP": (DeepMLP, lambda: torch.randn(4, 8)),
    "residual MLP": (ResidualMLP, lambda: torch.randn(4, 8)),
    "plain CNN": (PlainCNN, _image),
    "SE-ResNet": (SEResNet, lambda: _image(8)),
    "pre-activation loop": (PreActivation, _image),
    "nanoGPT": (GPT, lambda: (_tokens(), _tokens())),
    "GPT-J": (GPTJ, _tokens),
    "looped ViT": (LoopedViT, _image),
    "universal transformer": (Universal, _tokens),
    "post-norm encoder": (Encoder, _tokens),
    "pre-norm encoder": (lambda: Encoder(norm_first=True), _tokens),
    "nn.Transformer": (Translator, lambda: (_tokens(), _tokens(6))),
    "DiT": (DiT, lambda: (torch.randn(2, 5, 8), torch.rand(2, 1))),
    "U-Net": (UNet, lambda: _image(18)),
    "autoencoder": (AutoEncoder, _image),
    "VAE": (VAE, lambda: torch.randn(2, 8, 8)),
    "bi-LSTM": (LSTMClassifier, _tokens),
    "residual GRU": (ResidualGRU, _tokens),
    "unrolled RNN": (UnrolledRNN, lambda: torch.randn(2, 12, 3)),
    "TCN": (
        lambda: nn.Sequential(
            TemporalBlock(3, 8, 1), TemporalBlock(8, 8, 2), TemporalBlock(8, 8, 4)
        ),
        lambda: torch.randn(2, 3, 20),
    ),
    "WaveNet": (WaveNet, lambda: torch.randn(2, 1, 30)),
    "graph network": (GraphNet, lambda: (torch.randn(6, 5), torch.rand(6, 6))),
    "PointNet": (PointNet, lambda: torch.randn(2, 3, 10)),
    "dense block": (DenseBlocks, _image),
    "MLP-Mixer": (Mixer, lambda: torch.randn(2, 8, 12)),
    "siamese": (Siamese, lambda: (torch.randn(2, 8), torch.randn(2, 8))),
}
