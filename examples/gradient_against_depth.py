"""How much gradient reaches the first layer, against depth: plain and with skips.

    python examples/gradient_against_depth.py [gradient_against_depth.png] [--quick]

Networks of 5 to 200 tanh layers look at scikit-learn's digits, freshly initialised, nothing is
trained. Plotted is the root mean square of the first hidden layer's gradient, and below which size
a gradient is lost: float32 rounds `w - 0.01 * gradient` to `w` for half of the weights and more.

The picture needs matplotlib: pip install 'skipway[plot]'.
"""

from __future__ import annotations

import argparse
import statistics

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from skipway.nn import Skip

DEPTHS = (5, 10, 20, 30, 40, 50, 75, 100, 150, 200)
WIDTH = 64
LEARNING_RATE = 0.01

# {network: {depth: one number for each seed}}
Gradients = dict[str, dict[int, list[float]]]


def network(depth: int, skips: bool) -> nn.Sequential:
    """Return `depth` layers of `tanh(W x)`, or of `x + tanh(W x)`."""
    layers = [nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh()) for _ in range(depth)]
    hidden = [Skip(layer) for layer in layers] if skips else layers
    return nn.Sequential(*hidden, nn.Linear(WIDTH, 10))


def first_gradient(depth: int, skips: bool, seed: int, batch: tuple[Tensor, Tensor]) -> float:
    """Return the root mean square of the first layer's weight gradient."""
    torch.manual_seed(seed)
    model, (inputs, targets) = network(depth, skips), batch
    nn.functional.cross_entropy(model(inputs), targets).backward()
    weight = next(model.parameters())
    # In float64: squares of numbers below 1e-23 are exactly zero in float32.
    return weight.grad.double().square().mean().sqrt().item()


def lost_below(seed: int = 0) -> float:
    """Return the gradient that leaves half of the weights exactly where they are."""
    torch.manual_seed(seed)
    weight = next(network(1, skips=False).parameters()).detach()
    return (weight.abs().median() * torch.finfo(torch.float32).eps / 4).item() / LEARNING_RATE


def measure(depths: tuple[int, ...], seeds: int) -> Gradients:
    """Return the gradient of the first layer for both networks."""
    digits = load_digits()
    inputs = torch.tensor(digits.data[:128], dtype=torch.float32) / 16
    batch = inputs, torch.tensor(digits.target[:128])
    return {
        name: {d: [first_gradient(d, skips, seed, batch) for seed in range(seeds)] for d in depths}
        for name, skips in (("plain", False), ("with skips", True))
    }


def show(gradients: Gradients) -> None:
    """Print the medians as a table."""
    print("First layer's gradient, root mean square (median over the seeds)")
    print(f"{'layers':>8}{'plain':>14}{'with skips':>14}")
    for depth in gradients["plain"]:
        row = [statistics.median(gradients[name][depth]) for name in ("plain", "with skips")]
        print(f"{depth:>8}{row[0]:>14.2e}{row[1]:>14.2e}")
    print(f"Below {lost_below():.1e} a step at learning rate {LEARNING_RATE} changes few weights.")


def draw(gradients: Gradients, path: str) -> None:
    """Draw both curves on one logarithmic axis."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.4), layout="constrained")
    for (name, curve), colour in zip(gradients.items(), ("#c0392b", "#1f6f8b"), strict=True):
        # A logarithm knows no zero: what float32 has rounded to zero is left out.
        depths = [depth for depth in curve if min(curve[depth]) > 0]
        axes.fill_between(
            depths, [min(curve[d]) for d in depths], [max(curve[d]) for d in depths],
            color=colour, alpha=0.2, linewidth=0,
        )  # fmt: skip
        middle = [statistics.median(curve[d]) for d in depths]
        axes.plot(depths, middle, "o-", color=colour, markersize=4)
        label = name if len(depths) == len(curve) else f"{name}; after {depths[-1]} exactly 0"
        at, below = len(depths) // 2, -16 if name == "with skips" else 6
        axes.annotate(
            label, (depths[at], middle[at]), (10, below), textcoords="offset points",
            color=colour, weight="bold",
        )  # fmt: skip
    _mark_lost(axes, max(gradients["plain"]))
    axes.set(yscale="log", xlabel="layers", ylabel="gradient of the first layer (rms)")
    axes.set_title(
        "With skips the first layer still gets a gradient, at 200 layers as at 5", loc="left"
    )
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _mark_lost(axes, last: int) -> None:
    axes.axhline(lost_below(), color="0.45", linewidth=1, linestyle="--")
    axes.annotate(
        f"below: most steps are rounded away (float32, learning rate {LEARNING_RATE})",
        (last, lost_below()), (0, -12), textcoords="offset points", ha="right",
        color="0.35", fontsize=9,
    )  # fmt: skip


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("picture", nargs="?", default="gradient_against_depth.png")
    parser.add_argument("--quick", action="store_true", help="few depths, one seed")
    arguments = parser.parse_args()
    depths, seeds = ((5, 20, 50), 1) if arguments.quick else (DEPTHS, 5)
    gradients = measure(depths, seeds)
    show(gradients)
    draw(gradients, arguments.picture)
    print(f"Drawn in {arguments.picture}")


if __name__ == "__main__":
    main()
