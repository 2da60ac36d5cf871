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


NEW = [name for name in RULES if name not in ("pre-norm", "no skips")]
CLOSE = 0.1  # bits a letter
Answers = dict[tuple[int, str], tuple[str, float]]


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
    """Compare the rules at one depth."""
    start = len(TEXT) // 2
    cases = {}
    for name in RULES:
        cases[name] = Case(
            name=f"{depth} layers", model=lambda name=name: Reader(depth, name),
            train=windows(0, TRAIN), test=windows(start, TEST), objective=bits,
            optimizer=lambda p: torch.optim.Adam(p, RATE), batch_size=BATCH, epochs=EPOCHS[depth],
            training=Learn(EPOCHS[depth]), learning_rates=FACTORS,
        )  # fmt: skip
    return claim.compare(f"{depth}", cases, controls=False)


def counted() -> tuple[float, float]:
    """Return the bits a letter by counting alone: how often each comes, and after which other."""
    text, following = (part.flatten() for part in windows(0, TRAIN))
    before, after = (part.flatten() for part in windows(len(TEXT) // 2, TEST))
    alone = torch.bincount(following, minlength=len(LETTERS)).double() + 1
    shares = alone / alone.sum()
    pairs = torch.zeros(len(LETTERS), len(LETTERS), dtype=torch.float64)
    pairs.index_put_((text, following), torch.ones(len(text)).double(), accumulate=True)
    # What was not seen after a letter is as frequent as it is anywhere.
    mixed = (pairs + 5 * shares) / (pairs.sum(1, keepdim=True) + 5)
    return float(-shares[after].log2().mean()), float(-mixed[before, after].log2().mean())


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
    answers: Answers = {}
    for at, depth in enumerate(EPOCHS):
        result = held_against(claim, depth)
        levels = []
        for place, variant in enumerate(result.variants):
            gap = variant.difference
            if gap is not None:
                answers[depth, variant.name] = variant.answer or "", gap.high
            claim.row(
                layers=depth, rule=variant.name, bits=variant.median, least=variant.low,
                most=variant.high, learning_rate=RATE * variant.factor,
                difference=gap.mean if gap else None, low=gap.low if gap else None,
                high=gap.high if gap else None, answer=variant.answer,
                parameters=variant.parameters,
            )  # fmt: skip
            levels.append(f"{variant.name} {variant.median:.2f}")
            ends = [run.test[-1] for run in variant.runs if run.status == "done"]
            axes.plot(
                [place + 0.25 * at] * len(ends), ends, "o", alpha=0.6,
                color=("#0072B2", "#D55E00")[at], label=f"{depth} layers" if not place else None,
            )  # fmt: skip
        told.append(f"{depth} layers: {', '.join(levels)}")
    single, pairs = counted()
    axes.axhline(single, color="#999999", linewidth=0.8, linestyle=":")
    axes.set_xticks(range(len(RULES)), list(RULES), rotation=30, ha="right", fontsize=8)
    steps = " and ".join(f"{math.ceil(TRAIN * 0.8 / BATCH) * n}" for n in EPOCHS.values())
    rates = " and ".join(f"{RATE * factor:g}" for factor in FACTORS)
    claim.close(
        f"Python's help topics, letter by letter, after {steps} steps of {BATCH * LENGTH} letters; "
        f"bits a letter on unseen text, medians of {SEEDS} seeds at the better of the rates "
        f"{rates} (counted: {single:.2f} by the letters alone, {pairs:.2f} by pairs of them, so "
        f"little is learned in so few steps). {'. '.join(told)}. {verdict(answers)}",
        holds=holds(answers),
        axes=axes,
    )


def verdict(answers: Answers) -> str:
    """Say which rules are better or worse than pre-norm, and which are shown to be as good."""
    said = []
    for depth in EPOCHS:
        found = {
            word: [name for name in RULES if answers.get((depth, name), ("", 0))[0] == answer]
            for answer, word in (("helped", "better"), ("worse", "worse"))
        }
        words = [f"{word} {', '.join(names)}" for word, names in found.items() if names]
        equal = ", ".join(name for name in RULES if equally_good(answers, depth, name))
        said.append(
            f"At {depth} layers, against pre-norm and corrected for eight rules: "
            f"{'; '.join(words) or 'no difference'}; at most a tenth of a bit worse by the "
            f"interval: {equal or 'none'}"
        )
    return f"{'. '.join(said)}. For the others {SEEDS} seeds leave it open."


def equally_good(answers: Answers, depth: int, name: str) -> bool:
    return (depth, name) in answers and answers[depth, name][1] < CLOSE


def holds(answers: Answers) -> str:
    new = [(depth, name) for depth in EPOCHS for name in RULES if name in NEW]
    good = [equally_good(answers, *each) for each in new]
    return "yes" if all(good) else "partly" if any(good) else "no"


if __name__ == "__main__":
    main()
