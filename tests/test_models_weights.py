"""Files of weights: read safely, and only where every name and shape fits."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from skipway import models
from skipway._errors import ModelError, WeightsError


@pytest.fixture
def net() -> nn.Module:
    return models.cifar_densenet(10, 4, bottleneck=True)


def _other() -> nn.Module:
    return models.cifar_densenet(10, 4, bottleneck=True)


def _save(content: Any, folder: Path) -> Path:
    path = folder / "weights.pt"
    torch.save(content, path)
    return path


def _same(one: nn.Module, two: nn.Module) -> bool:
    pairs = zip(one.state_dict().items(), two.state_dict().items(), strict=True)
    return all(name == other and torch.equal(a, b) for (name, a), (other, b) in pairs)


def test_old_names_prefixes_and_missing_counters(net: nn.Module, tmp_path: Path) -> None:
    new = {name: value for name, value in net.state_dict().items() if "num_batches" not in name}
    old = {
        re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", name): value
        for name, value in new.items()
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    for content in (
        new,
        old,
        {f"module.{name}": value for name, value in old.items()},
        {"state_dict": new, "epoch": 3},
        {"model": new, "optimizer": {"state": {}, "param_groups": []}},
        {f"module._orig_mod.{name}": value for name, value in new.items()},
    ):
        other = _other()
        models.load_weights(other, _save(content, tmp_path))
        assert _same(net, other)


def test_safetensors(net: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_file = pytest.importorskip("safetensors.torch").save_file
    path = tmp_path / "weights.safetensors"
    save_file(net.state_dict(), path)
    other = _other()
    models.load_weights(other, str(path))
    assert _same(net, other)
    path.write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="no whole safetensors file"):
        models.load_weights(other, path)
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    with pytest.raises(WeightsError, match="pip install safetensors"):
        models.load_weights(other, path)


def _without(name: str) -> Any:
    return lambda weights: {key: value for key, value in weights.items() if key != name}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_without("features.norm5.bias"), r"has no features\.norm5\.bias, .* as 9\."),
        (
            lambda w: {**w, "classifier.weight": torch.zeros(7, 9)},
            r"classifier\.weight is 7 × 9 in .* and 10 × 9 in the network",
        ),
        (lambda w: {**w, "more": torch.zeros(2)}, r"holds more, 2, which"),
        (lambda w: [1, 2], "no state_dict"),
        (lambda w: {}, "no state_dict"),
        (lambda w: {"model": w, "ema": w}, "several state_dicts, model, ema"),
        (lambda w: nn.Linear(2, 2), r"more than tensors \(torch\.nn\.modules\.linear\.Linear\)"),
    ],
    ids=["missing", "shape", "more", "list", "empty", "several", "code"],
)
def test_a_file_that_does_not_fit_changes_nothing(
    net: nn.Module, tmp_path: Path, change: Any, words: str
) -> None:
    other = _other()
    before = {name: value.clone() for name, value in other.state_dict().items()}
    with pytest.raises(WeightsError, match=words):
        models.load_weights(other, _save(change(net.state_dict()), tmp_path))
    assert all(torch.equal(value, before[name]) for name, value in other.state_dict().items())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04 not", "it is damaged, or no file of torch.save"),
        (b"", "it is empty"),
        (b"<!DOCTYPE html>", "it is a web page"),
        (b"version https://git-lfs.github.com/spec/v1", "it is a pointer of Git LFS"),
    ],
)
def test_what_is_no_file_of_weights(
    net: nn.Module, tmp_path: Path, content: bytes, words: str
) -> None:
    (tmp_path / "weights.pt").write_bytes(content)
    with pytest.raises(WeightsError, match=f"cannot be read as weights: {words}"):
        models.load_weights(net, tmp_path / "weights.pt")


def test_no_file_at_all(net: nn.Module, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="There is no file"):
        models.load_weights(net, tmp_path / "nothing.pt")
    with pytest.raises(WeightsError, match="is a folder"):
        models.load_weights(net, tmp_path)
    with pytest.raises(ModelError, match="load_weights was given str, not a network"):
        models.load_weights("weights.pt", net)  # type: ignore[arg-type]
