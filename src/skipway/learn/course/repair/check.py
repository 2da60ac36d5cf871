"""The diagnosis is asked of both sick trainings; the repaired ones are trained and tested."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from skipway.learn._marking import Wrong, function
from skipway.learn._picture import Picture, lines
from skipway.learn.course.repair import exercise as given

ENOUGH, CHANCE = 0.9, 0.3
CAUSES = {"Deep": ("vanishing", 0.1), "Second": ("lr-too-small", 1e-5)}


def check(answer: ModuleType) -> None:
    """Check the diagnosis on the sick networks, then train the repaired ones."""
    train, test = _digits()
    _check_causes(function(answer, "cause_of"), train)
    deep = _trained(function(answer, "train_deep"), train, 32, "train_deep")
    _check_accuracy(deep, test, "train_deep", "The gradient still does not come through 30 layers.")
    _check_gradient(deep, train)
    second = _trained(function(answer, "train_second"), train, 8, "train_second")
    _check_accuracy(second, test, "train_second", _why_second(answer))


def _digits() -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    digits = load_digits()
    order = torch.randperm(len(digits.target), generator=torch.Generator().manual_seed(0))
    images = torch.tensor(digits.data, dtype=torch.float32)[order] / 16
    labels = torch.tensor(digits.target)[order]
    return (images[:1400], labels[:1400]), (images[1400:], labels[1400:])


def _sick(name: str) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(10)
    model: nn.Module = getattr(given, name)()
    return model, torch.optim.SGD(model.parameters(), lr=CAUSES[name][1])


def _check_causes(cause_of: Any, train: tuple[Tensor, Tensor]) -> None:
    batch = (train[0][:200], train[1][:200])
    found = {name: _word(cause_of(model, batch, optimizer)) for name in CAUSES
             for model, optimizer in [_sick(name)]}  # fmt: skip
    wanted = {name: cause for name, (cause, _) in CAUSES.items()}
    if found == wanted:
        return
    if set(found.values()) == {"vanishing"}:
        raise Wrong(
            "You say `vanishing` of both. It is the cause in the first; in the second the gradient "
            "arrives everywhere. Let skipway.diagnose look at the model that you are given."
        )
    if found["Deep"] == "vanishing" and found["Second"] == "healthy":
        raise Wrong(
            "Of the second you say `healthy`, and its gradients are. What is wrong is the step, "
            "which nothing can judge without the optimizer: optimizer=optimizer."
        )
    for name in CAUSES:
        if found[name] != wanted[name]:
            raise Wrong(
                f"Of the network `{name}` as it came cause_of says {found[name]!r}. Is it the "
                "`.cause` of skipway.diagnose(model, batch, F.cross_entropy, optimizer=optimizer)?"
            )


def _word(got: Any) -> str:
    if got is None:
        raise Wrong("cause_of returned None. Is a `return` missing?")
    if hasattr(got, "cause"):
        raise Wrong("cause_of returned the whole diagnosis; its `.cause` is the word.")
    if not isinstance(got, str):
        raise Wrong(f"cause_of returned a {type(got).__name__}; it should be a word.")
    return got


def _trained(train: Any, data: tuple[Tensor, Tensor], layers: int, name: str) -> nn.Module:
    torch.manual_seed(10)
    model = train(data[0].clone(), data[1].clone())
    if not isinstance(model, nn.Module):
        raise Wrong(f"{name} returned a {type(model).__name__}; it should be the trained model.")
    found = sum(isinstance(module, nn.Linear) for module in model.modules())
    if found < layers:
        raise Wrong(
            f"{name}: the network has {found} linear layers left of {layers}. A shallow network "
            "learns this, but here all layers stay, and learn."
        )
    return model


def _check_accuracy(model: nn.Module, test: tuple[Tensor, Tensor], name: str, why: str) -> None:
    images, labels = test
    with torch.no_grad():
        output = model.eval()(images)
    if not output.isfinite().all():
        raise Wrong(
            f"{name}: the outputs are no longer numbers (NaN). The steps are too large now."
        )
    right = float((output.argmax(1) == labels).float().mean())
    if right < CHANCE:
        raise Wrong(f"{name} still sits at chance: {right:.0%} of the test digits. {why}")
    if right < ENOUGH:
        raise Wrong(
            f"{name} learns now: {right:.0%} of the test digits. {ENOUGH:.0%} are wanted. Larger "
            "steps, or a skip around each layer, or around every two?"
        )


def _check_gradient(model: nn.Module, train: tuple[Tensor, Tensor]) -> None:
    norms = _norms(model, train)
    if min(norms) < 1e-4 * max(norms):
        raise Wrong(
            "train_deep gets there, but past the layers and not with them: the gradient of some is "
            f"{min(norms) / max(norms):.0e} of that of others. One long skip goes around all of "
            "them at once. Put one around each layer, or around every two."
        )


def _norms(model: nn.Module, train: tuple[Tensor, Tensor]) -> list[float]:
    """Return the norm of each linear layer's gradient, the first layer first."""
    weights = [m.weight for m in model.modules() if isinstance(m, nn.Linear)]
    loss = nn.functional.cross_entropy(model(train[0][:200]), train[1][:200])
    return [float(gradient.norm()) for gradient in torch.autograd.grad(loss, weights)]


def _why_second(answer: ModuleType) -> str:
    """Tell a learner who put a skip into the second network that this was not it."""
    torch.manual_seed(10)
    before, x = given.Second(), torch.rand(8, 64)
    torch.manual_seed(10)
    try:
        changed = not torch.equal(answer.Second()(x), before(x))
    except Exception:
        changed = True
    if changed:
        return (
            "You changed the network, and it was not the network: its gradient arrives everywhere. "
            "Not every stall comes from depth. Read what the diagnosis says about the step."
        )
    return "Its gradient arrives everywhere. Read what the diagnosis says about the step."


def picture(answer: ModuleType) -> Picture:
    """Draw the gradient of each layer, before the first step, as it was and as it is."""
    train, _ = _digits()
    torch.manual_seed(10)
    rows = {"as it was": _norms(given.Deep(), train), "repaired": _norms(answer.Deep(), train)}
    return lines(
        "The gradient of each layer's weights in the deep network, before the first step.", rows,
        x=range(32), x_name="layer", y_name="norm of the gradient", log=True,
    )  # fmt: skip
