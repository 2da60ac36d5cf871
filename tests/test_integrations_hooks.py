"""Numbers of the callbacks against gradients taken at the frameworks' own hooks before the step."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
X = torch.randn(96, 8)
Y = (X[:, 0] > 0).long()
CLIP = 0.05


def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 2)
    )


def norms(model: nn.Module, parameters: list[nn.Parameter]) -> dict[str, float]:
    """Take the norms of the weights' gradients, and of all these parameters' together."""
    held = {id(each) for each in parameters}
    found = {
        name.removesuffix(".weight"): float(each.grad.double().norm())
        for name, each in model.named_parameters()
        if id(each) in held and name.endswith("weight")
    }
    whole = [each.grad.double().norm() for each in parameters if each.grad is not None]
    return {**found, "all": float(torch.stack(whole).norm())}


def gradients(numbers: dict[str, float]) -> dict[str, float]:
    start = "gradient/"
    return {n.removeprefix(start): v for n, v in numbers.items() if n.startswith(start)}


def expected(seen: dict[str, float], clip: float) -> dict[str, float]:
    """Clip by the norm of all of them, as Pascanu et al. (2013) have it."""
    share = min(1.0, clip / seen["all"]) if clip else 1.0
    return {name: value * share for name, value in seen.items() if name != "all"}


# ---------------------------------------------------------------- Lightning

WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "clipped": {"gradient_clip_val": CLIP},
    "accumulated": {"accumulate_grad_batches": 3},
    "bfloat16": {"precision": "bf16-mixed"},
    "all of them": {
        "gradient_clip_val": CLIP, "accumulate_grad_batches": 2, "precision": "bf16-mixed",
    },
}  # fmt: skip


def fit(module: type, every: int = 1, **ways: Any) -> tuple[Any, list[dict[str, float]], list]:
    """Train; return the callback, what it saw, and what Lightning's own hook is shown."""
    from lightning.pytorch import Callback, Trainer

    from skipway.integrations.lightning import WatchLayers

    at_hook: list[dict[str, float]] = []
    seen: list[dict[str, float]] = []

    class Probe(Callback):
        def on_before_optimizer_step(self, trainer, pl_module, optimizer):
            held = [each for group in optimizer.param_groups for each in group["params"]]
            at_hook.append(norms(pl_module.net, held))

        def on_train_batch_end(self, trainer, pl_module, *batch):
            if watching.watch.fresh and len(seen) < watching.watch.step:
                found = gradients(watching.watch.scalars())
                seen.append({name.removeprefix("net."): each for name, each in found.items()})

    watching = WatchLayers(every=every, notify=lambda _: None)
    trainer = Trainer(**{
        "max_epochs": 1, "accelerator": "cpu", "logger": False, "callbacks": [watching, Probe()],
        "enable_progress_bar": False, "enable_model_summary": False, "log_every_n_steps": 1,
        "enable_checkpointing": False, **ways,
    })  # fmt: skip
    trainer.fit(module(), DataLoader(TensorDataset(X, Y), batch_size=16))
    return watching, seen, at_hook


def lightning_module() -> type:
    from lightning.pytorch import LightningModule

    class Module(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = network()

        def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
            loss = nn.functional.cross_entropy(self.net(batch[0]), batch[1])
            self.log("mine", loss)
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.5)

    return Module


def two_optimizers() -> type:
    class Module(lightning_module()):
        def __init__(self) -> None:
            super().__init__()
            self.automatic_optimization = False

        def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
            loss = nn.functional.cross_entropy(self.net(batch[0]), batch[1])
            for optimizer in self.optimizers():
                optimizer.zero_grad()
            self.manual_backward(loss)
            for optimizer in self.optimizers():
                optimizer.step()
            self.log("mine", loss)

        def configure_optimizers(self) -> list[torch.optim.Optimizer]:
            return [torch.optim.SGD(self.net[:2].parameters(), lr=0.5),
                    torch.optim.Adam(self.net[2:].parameters(), lr=0.01)]  # fmt: skip

    return Module


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("way", WAYS)
def test_lightning_shows_its_own_hook_the_same_gradients_before_it_clips(way: str) -> None:
    pytest.importorskip("lightning")
    watching, seen, at_hook = fit(lightning_module(), **WAYS[way])
    steps = 6 // WAYS[way].get("accumulate_grad_batches", 1)
    assert watching.watch.step == len(seen) == len(at_hook) == steps
    for mine, theirs in zip(seen, at_hook, strict=True):
        assert mine == pytest.approx(
            expected(theirs, WAYS[way].get("gradient_clip_val", 0)), rel=1e-5
        )


@pytest.mark.filterwarnings("ignore")
def test_lightning_with_a_scaler_shows_what_is_unscaled() -> None:
    pytest.importorskip("lightning")
    from lightning.pytorch.plugins import MixedPrecision

    scaled = MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=1024.0))
    _, seen, at_hook = fit(lightning_module(), plugins=[scaled], gradient_clip_val=CLIP)
    assert len(seen) == 6
    for mine, theirs in zip(seen, at_hook, strict=True):
        assert mine == pytest.approx(expected(theirs, CLIP), rel=1e-4)


@pytest.mark.filterwarnings("ignore")
def test_lightning_with_two_optimizers_shows_what_each_one_holds() -> None:
    pytest.importorskip("lightning")
    watching, seen, at_hook = fit(two_optimizers())
    assert watching.watch.step == 6
    for at, mine in enumerate(seen):
        both = {**at_hook[2 * at], **at_hook[2 * at + 1]}
        assert mine == pytest.approx(expected(both, 0), rel=1e-6)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("way", ["plain", "accumulated", "two"])
def test_lightning_logs_each_step_once_and_where_it_logs_the_module_s_own(
    way: str, tmp_path: Path
) -> None:
    pytest.importorskip("lightning")
    from lightning.pytorch.loggers import CSVLogger

    module = two_optimizers() if way == "two" else lightning_module()
    fit(module, logger=CSVLogger(tmp_path), **WAYS.get(way, {}))
    (place,) = tmp_path.rglob("metrics.csv")
    with place.open() as file:
        rows = list(csv.DictReader(file))
    told = {row["step"]: row for row in rows if row["skipway/loss"]}
    own = {row["step"]: row for row in rows if row["mine"]}
    assert len(told) == len([row for row in rows if row["skipway/loss"]])
    assert list(told) == list(own) == [str(at) for at in range(2 if way == "accumulated" else 6)]
    if way == "plain":
        for step, row in told.items():
            assert float(row["skipway/loss"]) == pytest.approx(float(own[step]["mine"]))


# ---------------------------------------------------------------- Hugging Face


class Classifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = network()

    def forward(self, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
        logits = self.net(x)
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("more", [
    {"max_grad_norm": 0}, {"max_grad_norm": CLIP},
    {"max_grad_norm": 0, "gradient_accumulation_steps": 3},
    {"max_grad_norm": CLIP, "gradient_accumulation_steps": 2, "bf16": True},
])  # fmt: skip
def test_transformers_shows_its_own_hook_the_same_gradients(more: dict, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    from transformers import Trainer, TrainerCallback, TrainingArguments

    from skipway.integrations.transformers import WatchLayers

    watching = WatchLayers(every=1, notify=lambda _: None)
    seen, at_hook = [], []

    class Probe(TrainerCallback):
        def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
            at_hook.append(norms(model.net, list(model.parameters())))

        def on_optimizer_step(self, args, state, control, **kwargs):
            found = gradients(watching.watch.scalars())
            seen.append({name.removeprefix("net."): each for name, each in found.items()})

    arguments = TrainingArguments(
        str(tmp_path), per_device_train_batch_size=16, num_train_epochs=1, report_to=[],
        use_cpu=True, save_strategy="no", disable_tqdm=True, **more,
    )  # fmt: skip
    model = Classifier()
    trainer = Trainer(
        model, arguments, callbacks=[Probe()],
        train_dataset=[{"x": x, "labels": y} for x, y in zip(X, Y, strict=True)],
        optimizers=(torch.optim.SGD(model.parameters(), lr=0.5), None),
    )  # fmt: skip
    watching.attach(trainer)
    trainer.train()
    assert len(seen) == 6 // more.get("gradient_accumulation_steps", 1)
    for mine, theirs in zip(seen, at_hook, strict=True):  # it clips before it asks the hook
        assert mine == pytest.approx(expected(theirs, 0), rel=1e-6)
