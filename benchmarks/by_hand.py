"""Every rule as one would write it by hand in plain PyTorch: the rivals of a speed comparison."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Add(nn.Module):
    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class ReZero(Add):
    def __init__(self, body: nn.Module) -> None:
        super().__init__(body)
        self.a = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.a * self.body(x)


class Concat(Add):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.body(x)], -1)


class Blocks(nn.Module):
    def __init__(self, blocks: list[nn.Module]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)


class Residual(Blocks):
    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = x + block(x)
        return x


class DeepNorm(Blocks):
    def __init__(self, blocks: list[nn.Module], width: int) -> None:
        super().__init__(blocks)
        self.alpha = len(blocks) ** 0.25
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in blocks)

    def forward(self, x: Tensor) -> Tensor:
        for block, norm in zip(self.blocks, self.norms, strict=True):
            x = norm(self.alpha * x + block(x))
        return x


class Fixup(Blocks):
    def __init__(self, blocks: list[nn.Module]) -> None:
        super().__init__(blocks)
        self.a = nn.ParameterList(torch.ones(()) for _ in blocks)
        self.b = nn.ParameterList(torch.zeros(()) for _ in blocks)
        self.c = nn.ParameterList(torch.zeros(()) for _ in blocks)

    def forward(self, x: Tensor) -> Tensor:
        for block, a, b, c in zip(self.blocks, self.a, self.b, self.c, strict=True):
            x = x + a * block(x + b) + c
        return x


class Dense(Blocks):
    def forward(self, x: Tensor) -> Tensor:
        xs = [x]
        for block in self.blocks:
            xs.append(block(torch.cat(xs, -1)))
        return torch.cat(xs, -1)


class DenseFormer(Blocks):
    def __init__(self, blocks: list[nn.Module]) -> None:
        super().__init__(blocks)
        n = len(blocks)
        self.a = nn.ParameterList(torch.eye(i + 2)[-1] for i in range(n))

    def forward(self, x: Tensor) -> Tensor:
        xs, y = [x], x
        for block, a in zip(self.blocks, self.a, strict=True):
            xs.append(y + block(y))
            y = torch.tensordot(a, torch.stack(xs), 1)
        return y


class Reversible(Blocks):
    def forward(self, x: Tensor) -> Tensor:
        x1, x2 = x.chunk(2, -1)
        for f, g in zip(self.blocks[::2], self.blocks[1::2], strict=True):
            x1 = x1 + f(x2)
            x2 = x2 + g(x1)
        return torch.cat([x1, x2], -1)


class AttentionResiduals(Blocks):
    def __init__(self, blocks: list[nn.Module], width: int) -> None:
        super().__init__(blocks)
        self.w = nn.ParameterList(torch.zeros(width) for _ in range(len(blocks) + 1))

    def attend(self, w: Tensor, vs: list[Tensor]) -> Tensor:
        v = torch.stack(vs)
        k = F.rms_norm(v, v.shape[-1:])
        a = torch.einsum("d,nbtd->nbt", w, k).softmax(0)
        return torch.einsum("nbt,nbtd->btd", a, v)

    def forward(self, x: Tensor) -> Tensor:
        vs = [x]
        for block, w in zip(self.blocks, self.w, strict=False):
            vs.append(block(self.attend(w, vs)))
        return self.attend(self.w[-1], vs)


class DeltaAttentionResiduals(AttentionResiduals):
    def forward(self, x: Tensor) -> Tensor:
        vs = [x]
        for i, (block, w) in enumerate(zip(self.blocks, self.w, strict=False)):
            vs.append(block(x + self.attend(w, vs) if i else x))
            x = x + vs[-1]
        return x


class StaticHyperConnections(Blocks):
    def __init__(self, blocks: list[nn.Module], n: int) -> None:
        super().__init__(blocks)
        self.n = n
        self.alpha = nn.ParameterList(
            torch.cat([torch.eye(n)[:, [i % n]], torch.eye(n)], 1) for i in range(len(blocks))
        )
        self.beta = nn.ParameterList(torch.ones(n) for _ in blocks)

    def forward(self, x: Tensor) -> Tensor:
        h = x.unsqueeze(-2).expand(*x.shape[:-1], self.n, x.shape[-1])
        for block, alpha, beta in zip(self.blocks, self.alpha, self.beta, strict=True):
            mixed = torch.einsum("ij,...id->...jd", alpha, h)
            y = block(mixed[..., 0, :])
            h = mixed[..., 1:, :] + beta[:, None] * y.unsqueeze(-2)
        return h.mean(-2)


class HyperConnections(StaticHyperConnections):
    def __init__(self, blocks: list[nn.Module], n: int, width: int) -> None:
        super().__init__(blocks, n)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in blocks)
        self.w_alpha = nn.ParameterList(torch.zeros(width, n + 1) for _ in blocks)
        self.w_beta = nn.ParameterList(torch.zeros(width) for _ in blocks)
        self.s_alpha = nn.ParameterList(torch.tensor(0.01) for _ in blocks)
        self.s_beta = nn.ParameterList(torch.tensor(0.01) for _ in blocks)

    def forward(self, x: Tensor) -> Tensor:
        h = x.unsqueeze(-2).expand(*x.shape[:-1], self.n, x.shape[-1])
        for i, block in enumerate(self.blocks):
            normed = self.norms[i](h)
            alpha = self.s_alpha[i] * torch.tanh(normed @ self.w_alpha[i]) + self.alpha[i]
            beta = self.s_beta[i] * torch.tanh(normed @ self.w_beta[i]) + self.beta[i]
            mixed = alpha.transpose(-1, -2) @ h
            y = block(mixed[..., 0, :])
            h = mixed[..., 1:, :] + torch.einsum("...d,...n->...nd", y, beta)
        return h.mean(-2)


class ManifoldHyperConnections(Blocks):
    def __init__(self, blocks: list[nn.Module], n: int, width: int) -> None:
        super().__init__(blocks)
        self.n = n
        self.phi = nn.ParameterList(torch.zeros(n * width, n * (n + 2)) for _ in blocks)
        self.a = nn.ParameterList(torch.full((3,), 0.01) for _ in blocks)
        self.b_pre = nn.ParameterList(torch.full((n,), -1.0) for _ in blocks)
        self.b_post = nn.ParameterList(torch.zeros(n) for _ in blocks)
        self.b_res = nn.ParameterList(-8 * (1 - torch.eye(n)) for _ in blocks)

    def forward(self, x: Tensor) -> Tensor:
        n = self.n
        h = x.unsqueeze(-2).expand(*x.shape[:-1], n, x.shape[-1])
        for i, block in enumerate(self.blocks):
            flat = h.flatten(-2)
            told = F.rms_norm(flat, flat.shape[-1:]) @ self.phi[i]
            pre = torch.sigmoid(self.a[i][0] * told[..., :n] + self.b_pre[i])
            post = 2 * torch.sigmoid(self.a[i][1] * told[..., n : 2 * n] + self.b_post[i])
            res = self.a[i][2] * told[..., 2 * n :].unflatten(-1, (n, n)) + self.b_res[i]
            res = res.exp()
            for _ in range(20):
                res = res / res.sum(-2, keepdim=True)
                res = res / res.sum(-1, keepdim=True)
            y = block(torch.einsum("...n,...nd->...d", pre, h))
            h = res @ h + torch.einsum("...d,...n->...nd", y, post)
        return h.mean(-2)
