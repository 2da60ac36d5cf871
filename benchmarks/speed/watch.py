"""What watching costs: `python benchmarks/speed/watch.py [ROUNDS] [--only PART]`, in watch.json.

Two networks: a perceptron of 20 layers of 64 with batches of 64, under SGD and Adam, and
torchvision's resnet18 on 8 x 3 x 64 x 64. Each variant trains a copy of its own; they take turns
in one process, in steps as they come in the middle of a training, and a ratio is against the plain
loop of the same round. The rivals look at every step:

- a loop that takes the norm of every gradient with `.item()`;
- a histogram of every gradient from a hook on its parameter: a mimic of what wandb.watch does, its
  own hook being bound to a run on a server;
- norms of gradients, of updates and of the distance from the start, each tensor by itself, with a
  copy of all weights: a mimic of the cheapest of Cockpit's quantities (GradNorm, UpdateSize,
  Distance);
- Cockpit itself with these three, where it is installed (`pip install cockpit-for-pytorch`; of
  `pkg_resources`, which it asks for its own version and setuptools no longer has, there is a stub),
  and with its own smallest setting, "economy", which computes the gradient of every sample through
  BackPACK.
"""

from __future__ import annotations

import argparse
import copy
import importlib.metadata
import importlib.util
import json
import os
import statistics
import sys
import types
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from measure import alternate, machine, write

import skipway
from oracle import torchvision

Loss = Callable[[Tensor], Tensor]


def main() -> None:
    given = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    given.add_argument("rounds", type=int, nargs="?", default=15)
    given.add_argument("--only", default="", help="cases whose name and threads hold these words")
    options = given.parse_args()
    where = Path(__file__).with_suffix(".json")
    result = json.loads(where.read_text("utf-8")) if options.only and where.exists() else {}
    for threads in (1, 2):
        torch.set_num_threads(threads)
        for name, network, optimizer, steps in CASES:
            case = f"{name}, threads: {threads}"
            if options.only not in case:
                continue
            rounds = options.rounds if steps > 10 else max(1, options.rounds // 2)
            here = {**machine("torchvision"), "rounds": rounds}
            if cockpits():
                here["cockpit"] = importlib.metadata.version("cockpit-for-pytorch")
            result[case] = measured(network, optimizer, steps, rounds)
            here["load after"] = round(os.getloadavg()[0], 2)
            result[case]["machine"] = here
            write(__file__, result)  # what is known so far, lest a long run is lost


def perceptron() -> tuple[nn.Module, Tensor, Tensor]:
    inner = [m for _ in range(18) for m in (nn.Linear(64, 64), nn.ReLU())]
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), *inner, nn.Linear(64, 10))
    for layer in model[::2]:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return model, torch.randn(64, 64), torch.randint(10, (64,))


def resnet() -> tuple[nn.Module, Tensor, Tensor]:
    model = torchvision.models.resnet18(num_classes=10)
    return model, torch.randn(8, 3, 64, 64), torch.randint(10, (8,))


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)


def adam(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=1e-5)


def measured(
    network: Callable[[], tuple[nn.Module, Tensor, Tensor]],
    optimizer: Callable[[nn.Module], torch.optim.Optimizer],
    steps: int,
    rounds: int,
) -> dict[str, Any]:
    torch.manual_seed(0)
    model, x, y = network()
    with ExitStack() as stack:
        runs: dict[str, Callable[[], object]] = {}
        for name, start in VARIANTS.items():
            own = copy.deepcopy(model)
            rule = optimizer(own)
            hand, after = start(stack, own, rule)
            runs[name] = training(own, rule, x, y, steps, hand, after)
            for _ in range(max(1, 40 // steps)):
                runs[name]()  # past the first looks, which look at everything
        few, failed = max(1, steps // 20), {}  # for a rival whose steps take seconds
        for name, setting in cockpits().items():
            run = in_cockpit(copy.deepcopy(model), optimizer, x, y, few, setting)
            try:
                run()
            except Exception as error:  # whatever the rival cannot do with this network
                failed[name] = {"fails": f"{type(error).__name__}: {str(error).split('. ')[0]}"}
                continue
            runs[name] = run
        seconds = alternate(runs, rounds)
    for name in cockpits().keys() & seconds.keys():
        seconds[name] = [each * steps / few for each in seconds[name]]
    plain = seconds["plain"]
    return failed | {
        name: {
            "ms a step": round(1e3 * statistics.median(own) / steps, 3),
            "ratio, median": round(
                statistics.median(a / b for a, b in zip(own, plain, strict=True)), 3
            ),
            "ratio of the least": round(min(own) / min(plain), 3),
            "ratio of the sums": round(sum(own) / sum(plain), 3),
        }
        for name, own in seconds.items()
    }


def training(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    x: Tensor,
    y: Tensor,
    steps: int,
    hand: Loss,
    after: Callable[[], object],
) -> Callable[[], object]:
    def run() -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            hand(F.cross_entropy(model(x), y)).backward()
            optimizer.step()
            after()

    return run


def _same(loss: Tensor) -> Tensor:
    return loss


def _nothing() -> None:
    return None


Start = Callable[[ExitStack, nn.Module, torch.optim.Optimizer], tuple[Loss, Callable[[], object]]]


def plain(stack: ExitStack, model: nn.Module, optimizer: torch.optim.Optimizer) -> Any:
    return _same, _nothing


def watched(every: int) -> Start:
    def start(stack: ExitStack, model: nn.Module, optimizer: torch.optim.Optimizer) -> Any:
        seen = stack.enter_context(skipway.watch(model, optimizer, every=every, notify=len))
        return seen.loss, _nothing

    return start


def items(stack: ExitStack, model: nn.Module, optimizer: torch.optim.Optimizer) -> Any:
    parameters = list(model.parameters())
    return _same, lambda: [p.grad.norm().item() for p in parameters if p.grad is not None]


def histograms(stack: ExitStack, model: nn.Module, optimizer: torch.optim.Optimizer) -> Any:
    found: dict[str, Any] = {}

    def hook(name: str) -> Callable[[Tensor], None]:
        def take(gradient: Tensor) -> None:
            flat = gradient.detach().reshape(-1).float()
            flat = flat[torch.isfinite(flat)]
            low, high = flat.min().item(), flat.max().item()
            counts = torch.histc(flat, bins=64, min=low, max=high).tolist()
            found[name] = counts, low, high

        return take

    for name, parameter in model.named_parameters():
        stack.callback(parameter.register_hook(hook(name)).remove)
    return _same, _nothing


def quantities(stack: ExitStack, model: nn.Module, optimizer: torch.optim.Optimizer) -> Any:
    parameters = list(model.parameters())
    first = [p.detach().clone() for p in parameters]
    last = [p.detach().clone() for p in parameters]

    def take() -> list[tuple[float, float, float]]:
        found = []
        for at, p in enumerate(parameters):
            now = p.detach().clone()
            gradient = p.grad.norm().item() if p.grad is not None else 0.0
            found.append(
                (gradient, (now - last[at]).norm().item(), (now - first[at]).norm().item())
            )
            last[at] = now
        return found

    return _same, take


def cockpits() -> dict[str, Callable[[], list[Any]]]:
    """Return the settings of Cockpit that are measured; none where it is not installed."""
    if importlib.util.find_spec("cockpit") is None:
        return {}
    if "pkg_resources" not in sys.modules:
        stub: Any = types.ModuleType("pkg_resources")
        stub.DistributionNotFound = LookupError
        stub.get_distribution = lambda name: types.SimpleNamespace(version="")
        sys.modules["pkg_resources"] = stub
    from cockpit import quantities
    from cockpit.utils.configuration import configuration

    three = [quantities.GradNorm, quantities.UpdateSize, quantities.Distance]
    return {
        "Cockpit: GradNorm, UpdateSize, Distance": lambda: [each(always) for each in three],
        'Cockpit: "economy"': lambda: configuration("economy", track_schedule=always),
    }


def always(step: int) -> bool:
    return step >= 0


def in_cockpit(
    model: nn.Module,
    optimizer: Callable[[nn.Module], torch.optim.Optimizer],
    x: Tensor,
    y: Tensor,
    steps: int,
    setting: Callable[[], list[Any]],
) -> Callable[[], object]:
    from backpack import extend
    from cockpit import Cockpit

    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False  # its hooks do not go with an operation in place
    extend(model)
    mean, each = extend(nn.CrossEntropyLoss()), nn.CrossEntropyLoss(reduction="none")
    rule = optimizer(model)
    cockpit = Cockpit(model.parameters(), quantities=setting())
    done = 0

    def run() -> None:
        nonlocal done
        for _ in range(steps):
            rule.zero_grad()
            output = model(x)
            loss = mean(output, y)
            info = {
                "batch_size": len(x),
                "individual_losses": each(output, y),
                "loss": loss,
                "optimizer": rule,
            }
            with cockpit(done, info=info):
                loss.backward(create_graph=cockpit.create_graph(done))
            rule.step()
            done += 1

    return run


VARIANTS: dict[str, Start] = {
    "plain": plain,
    "watch, every=10": watched(10),
    "watch, every=1": watched(1),
    "norms by .item()": items,
    "histograms (mimic of wandb)": histograms,
    "norms, updates, distances (mimic of Cockpit)": quantities,
}


CASES = (
    ("perceptron 20 x 64, batch 64, SGD", perceptron, sgd, 100),
    ("perceptron 20 x 64, batch 64, Adam", perceptron, adam, 100),
    ("resnet18, 8 x 3 x 64 x 64, SGD", resnet, sgd, 10),
)


if __name__ == "__main__":
    main()
