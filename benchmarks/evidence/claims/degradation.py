"""Degradation: deeper plain networks are worse, in training too; deeper residual ones are not.

python benchmarks/evidence/claims/degradation.py
"""

from __future__ import annotations

import statistics
from functools import partial

from images import Learn, case_of, digits, fashion, notes_in
from record import Claim, Gap, gap

from skipway.models import cifar_resnet

SEEDS = 5
DEPTHS = (8, 20, 32, 56)
WIDTH = 8
KINDS = {"plain": True, "residual": False}
# images, epochs: 342 and 216 steps
SETS = {"Fashion-MNIST": (lambda: fashion(3000, 2000), 9), "digits": (digits, 12)}
Errors = dict[int, tuple[list[float], list[float]]]


def errors(claim: Claim, images: str, kind: str) -> Errors:
    """Return training and test errors in percent, one a seed, for each depth."""
    load, epochs = SETS[images]
    data = load()
    name = f"{images}-{kind}"
    notes = claim.folder(name) / "notes.jsonl"
    cases = {}
    # Twenty layers first: the others are held against it.
    for depth in (20, 8, 32, 56):
        build = partial(cifar_resnet, depth, width=WIDTH, in_channels=1, plain=KINDS[kind])
        learn = Learn(f"{kind} {depth}", notes, epochs)
        cases[f"{kind} {depth}"] = case_of(name, data, build, learn)
    result = claim.compare(name, cases, controls=False)
    told = notes_in(notes)
    found: Errors = {}
    for variant in result.variants:
        depth = int(variant.name.split()[1])
        keys = [(variant.name, seed, variant.factor) for seed in range(SEEDS)]
        train = [told[key]["training_error"] for key in keys]
        found[depth] = train, [100 - run.test[-1] for run in variant.runs]
    for depth in DEPTHS:
        train, test = found[depth]
        variant = result.variant(f"{kind} {depth}")
        claim.row(
            images=images, network=kind, layers=depth,
            training_error=statistics.median(train), least_training=min(train),
            most_training=max(train), test_error=statistics.median(test), least_test=min(test),
            most_test=max(test), parameters=variant.parameters, rate_factor=variant.factor,
        )  # fmt: skip
    return found


def deeper(found: Errors, part: int) -> Gap:
    """Return by how much 56 layers err more than 20, in training (0) or on the test images (1)."""
    return gap(found[56][part], found[20][part])


def main() -> None:
    claim = Claim(
        __file__,
        "Degradation: a plain network of 56 layers has a higher training error than one of 20, so "
        "it is not overfitting; a residual one of 56 layers is better than one of 20.",
        "He et al. 2015 (arXiv:1512.03385), figures 1 and 6",
        SEEDS,
    )
    axes = claim.axes(x="layers", y="error, % (median of the seeds)")
    told: list[str] = []
    gaps: dict[tuple[str, str], tuple[Gap, Gap]] = {}
    for images in SETS:
        for kind in KINDS:
            found = errors(claim, images, kind)
            gaps[images, kind] = deeper(found, 0), deeper(found, 1)
            told.append(tell(images, kind, found, gaps[images, kind]))
            draw(axes, found, images, kind)
    axes.set_xticks(DEPTHS)
    plain = [gaps[images, "plain"][0].sign == 1 for images in SETS]
    residual = [gaps[images, "residual"][1].sign for images in SETS]
    told += [
        f"So 56 {kind} layers are {listed([gaps[images, kind][part] for images in SETS])} than 20 "
        f"in {('training', 'test')[part]} error"
        for kind, part in (("plain", 0), ("residual", 1))
    ]
    claim.close(
        f"CIFAR networks with batch norm, width {WIDTH}, 342 steps on Fashion-MNIST and 216 on "
        f"digits, {SEEDS} paired seeds at tuned learning rates, 95 % intervals. {'. '.join(told)}.",
        holds="yes" if all(plain) and all(sign == -1 for sign in residual) else
        "partly" if all(plain) and all(sign <= 0 for sign in residual) else
        "partly" if any(plain) else "no",
        axes=axes,
    )  # fmt: skip


def listed(gaps: list[Gap]) -> str:
    words = {1: "worse", -1: "better", 0: "not shown to be better or worse"}
    said = [f"{words[each.sign]} on {images}" for each, images in zip(gaps, SETS, strict=True)]
    return said[0].split(" on ")[0] if len({g.sign for g in gaps}) == 1 else " and ".join(said)


def tell(images: str, kind: str, found: Errors, gaps: tuple[Gap, Gap]) -> str:
    ends = [
        " and ".join(f"{statistics.median(found[depth][part]):.1f}" for depth in (20, 56))
        for part in (0, 1)
    ]
    return (
        f"{images}, {kind}: training error {ends[0]} % at 20 and 56 layers, a difference of "
        f"{gaps[0]}; test error {ends[1]} %, a difference of {gaps[1]}"
    )


def draw(axes, found: Errors, images: str, kind: str) -> None:
    colour = {"plain": "#D55E00", "residual": "#0072B2"}[kind]
    for part, line in enumerate(("--", "-")):
        ends = [statistics.median(found[depth][part]) for depth in DEPTHS]
        marker = "o" if images == "digits" else "s"
        label = f"{images}, {kind}, {('training', 'test')[part]}"
        axes.plot(DEPTHS, ends, line, marker=marker, color=colour, label=label, markersize=4)


if __name__ == "__main__":
    main()
