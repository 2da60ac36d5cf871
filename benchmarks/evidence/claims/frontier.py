"""What the newer rules for a skip do for a small transformer of 12 and of 48 layers.

The text is Python's own: the help topics in `pydoc_data.topics`, which ship with every Python.

python benchmarks/evidence/claims/frontier.py
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pydoc_data.topics import topics

import torch
from record import Claim
from torch import Tensor, nn
from torch.nn import functional as F

from skipway import Case, Comparison
from skipway import nn as skips

SEEDS = 3
EPOCHS = {12: 3, 48: 2}  # 24 steps each
WIDTH, HEADS, LENGTH, BATCH = 32, 2, 32, 16
TRAIN, TEST = 480, 160  # windows of LENGTH characters; a fifth of the first is for the rate
RATE, FACTORS = 1e-3, (1.0, 4.0)

TEXT = "\n".join(topics.values())
LETTERS = sorted(set(TEXT))


class Attention(nn.Module):
    """Causal attention, a branch without a skip of its own."""

    def __init__(self, norm: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH) if norm else nn.Identity()
        self.q_proj, self.k_proj, self.v_proj, self.out = (
            nn.Linear(WIDTH, WIDTH) for _ in range(4)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        heads = [
            each(x).unflatten(-1, (HEADS, -1)).transpose(1, 2)
            for each in (self.q_proj, self.k_proj, self.v_proj)
        ]
        seen = F.scaled_dot_product_attention(*heads, is_causal=True)
        return self.out(seen.transpose(1, 2).flatten(2))


def feed_forward(norm: bool) -> nn.Module:
    return nn.Sequential(
        nn.LayerNorm(WIDTH) if norm else nn.Identity(),
        nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH),
    )  # fmt: skip


Branches = list[nn.Module]


def none(branches: Branches) -> nn.Module:
    return nn.Sequential(*branches)


def rezero(branches: Branches) -> nn.Module:
    return nn.Sequential(*(skips.Skip(each, gate=skips.ReZero()) for each in branches))


def layerscale(branches: Branches) -> nn.Module:
    init = 0.1 if len(branches) <= 36 else 1e-6  # the paper's, for 18 layers and beyond 24
    return nn.Sequential(
        *(skips.Skip(each, gate=skips.LayerScale(WIDTH, init)) for each in branches)
    )


@dataclass(frozen=True)
class Ruled:
    """A stack under a rule, made anew for each network."""

    rule: Callable[[], skips.Rule]

    def __call__(self, branches: Branches) -> nn.Module:
        return skips.Stack(branches, rule=self.rule())


# Pre-norm first: the others are held against it. ReZero and DeepNorm have no norm in the branch,
# as in their papers. The averages over depth are the papers' cheaper forms; two streams, whose
# ways do not depend on the text, and 5 of Sinkhorn's steps, not 20, save time as well.
RULES: dict[str, tuple[Callable[[Branches], nn.Module], bool]] = {
    "pre-norm": (Ruled(skips.Residual), True),
    "no skips": (none, True),
    "ReZero": (rezero, False),
    "LayerScale": (layerscale, True),
    "DeepNorm": (Ruled(lambda: skips.DeepNorm(WIDTH)), False),
    "DenseFormer": (Ruled(lambda: skips.DenseFormer(dilation=4, period=4)), True),
    "hyper-connections": (Ruled(lambda: skips.HyperConnections(2)), True),
    "mHC": (Ruled(lambda: skips.ManifoldHyperConnections(2, steps=5)), True),
    "attention residuals": (Ruled(lambda: skips.AttentionResiduals(WIDTH, block_size=8)), True),
}


class Reader(nn.Module):
    """Says which letter comes next, for every letter: `(batch, length)` to one score a letter."""

    def __init__(self, depth: int, name: str) -> None:
        super().__init__()
        self.letters = nn.Embedding(len(LETTERS), WIDTH)
        self.places = nn.Parameter(0.02 * torch.randn(LENGTH, WIDTH))
        join, norm = RULES[name]
        halves = (Attention, feed_forward)
        self.body = join([half(norm) for _ in range(depth) for half in halves])
        self.last = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, len(LETTERS)))

    def forward(self, text: Tensor) -> Tensor:
        return self.last(self.body(self.letters(text) + self.places))


def windows(start: int, count: int) -> tuple[Tensor, Tensor]:
    """Return so many pieces of text, and the same one letter on."""
    whole = TEXT[start : start + count * LENGTH + 1]
    codes = torch.tensor([LETTERS.index(letter) for letter in whole])
    return codes[:-1].view(count, LENGTH), codes[1:].view(count, LENGTH)


def bits(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Return the mean bits that a letter costs."""
    return F.cross_entropy(model(batch[0]).flatten(0, 1), batch[1].flatten()) / math.log(2)


@dataclass(frozen=True)
class Learn:
    """Adam, the rate rising over the first tenth and then falling to zero."""

    epochs: int

    def __call__(self, model: nn.Module, data, *, seed: int, rate: float, log) -> None:
        text, following = data["train"]
        order = torch.Generator().manual_seed(seed)
        shuffled = [torch.randperm(len(text), generator=order) for _ in range(self.epochs)]
        steps = [batch for epoch in shuffled for batch in epoch.split(BATCH)]
        optimizer = torch.optim.Adam(model.parameters(), RATE * rate, fused=True)
        rise = max(1, len(steps) // 10)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda at: min((at + 1) / rise, 1 - at / len(steps))
        )
        for batch in steps:
            optimizer.zero_grad()
            bits(model, (text[batch], following[batch])).backward()
            optimizer.step()
            schedule.step()


def held_against(claim: Claim, depth: int) -> Comparison:
    """Compare the rules at one depth, beside a table of pairs of letters."""
    start = len(TEXT) // 2
    cases = {}
    for name in RULES:
        cases[name] = Case(
            name=f"{depth} layers", model=lambda name=name: Reader(depth, name),
            train=windows(0, TRAIN), test=windows(start, TEST), objective=bits,
            optimizer=lambda p: torch.optim.Adam(p, RATE), batch_size=BATCH, epochs=EPOCHS[depth],
            training=Learn(EPOCHS[depth]), learning_rates=FACTORS,
            controls={"pairs of letters": lambda: nn.Embedding(len(LETTERS), len(LETTERS))},
        )  # fmt: skip
    return claim.compare(f"{depth}", cases)


def guessing() -> float:
    """Return the bits of always giving the letters' frequencies."""
    counts = torch.bincount(windows(0, TRAIN)[0].flatten(), minlength=len(LETTERS)).double() + 1
    shares = (counts / counts.sum()).log2()
    return float(-shares[windows(len(TEXT) // 2, TEST)[0]].mean())


def main() -> None:
    claim = Claim(
        __file__,
        "Rules newer than the plain residual sum train deep transformers as well or better: "
        "ReZero, LayerScale, DeepNorm, DenseFormer, hyper-connections, mHC, attention residuals.",
        "arXiv:2003.04887, 2103.17239, 2203.00555, 2402.02622, 2409.19606, 2512.24880, 2603.15031",
        SEEDS,
    )
    axes = claim.axes(x="", y="bits a letter (lower is better)")
    told = []
    better: dict[int, list[str]] = {}
    worse: dict[int, list[str]] = {}
    for at, depth in enumerate(EPOCHS):
        result = held_against(claim, depth)
        better[depth] = [v.name for v in result.variants if rated(v) == "helped"]
        worse[depth] = [v.name for v in result.variants if rated(v) == "worse"]
        levels = []
        for place, variant in enumerate(result.variants):
            claim.row(
                layers=depth, rule=variant.name, bits=variant.median, least=variant.low,
                most=variant.high, learning_rate=RATE * variant.factor,
                difference=variant.difference.mean if variant.difference else None,
                low=variant.difference.low if variant.difference else None,
                high=variant.difference.high if variant.difference else None,
                answer=rated(variant), parameters=variant.parameters,
            )  # fmt: skip
            levels.append(f"{variant.name} {variant.median:.2f}")
            ends = [run.test[-1] for run in variant.runs if run.status == "done"]
            axes.plot(
                [place + 0.25 * at] * len(ends), ends, "o", alpha=0.6,
                color=("#0072B2", "#D55E00")[at], label=f"{depth} layers" if not place else None,
            )  # fmt: skip
        names = [variant.name for variant in result.variants]
        told.append(f"{depth} layers: {', '.join(levels)}")
    axes.axhline(guessing(), color="#999999", linewidth=0.8, linestyle=":")
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right", fontsize=8)
    steps = " and ".join(f"{math.ceil(TRAIN * 0.8 / BATCH) * n}" for n in EPOCHS.values())
    claim.close(
        f"Python's help topics, letter by letter, after {steps} steps of {BATCH * LENGTH} letters; "
        f"bits a letter on unseen text, medians of {SEEDS} seeds at tuned learning rates (letter "
        f"frequencies alone: {guessing():.2f}). {'. '.join(told)}. {verdict(better, worse)}",
        holds=holds(better, worse),
        axes=axes,
    )


def rated(variant) -> str | None:
    return variant.answer if variant.role == "treated" else None


def verdict(better: dict[int, list[str]], worse: dict[int, list[str]]) -> str:
    """Say which rules are shown to be better or worse than pre-norm, corrected for their number."""
    said = []
    for depth in EPOCHS:
        for names, word in ((better[depth], "better"), (worse[depth], "worse")):
            said.append(f"{word} at {depth} layers: {', '.join(names) or 'none'}")
    return f"Shown against pre-norm, corrected for eight rules: {'; '.join(said)}."


def holds(better: dict[int, list[str]], worse: dict[int, list[str]]) -> str:
    new = set(RULES) - {"pre-norm", "no skips"}
    if any(new & set(names) for names in worse.values()):
        return "partly" if any(new & set(names) for names in better.values()) else "no"
    return "yes"


if __name__ == "__main__":
    main()
