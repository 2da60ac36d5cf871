"""Is this module of somebody else's a dense block? What it computes decides, not its name."""

from __future__ import annotations

import copy
from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ._parts import CONVOLUTIONS, Layer, read_layers
from ._plan import Refused, check_layers
from ._run import ChoosesPath

_SIZE = 5  # odd, and larger than the kernel: an error at the border shows


@dataclass(frozen=True)
class Recognised:
    """A dense block. `prepend` says that new features come before the old ones."""

    prepend: bool


@dataclass(frozen=True)
class Found:
    """The dense blocks of a model.

    Attributes:
        blocks: by name, whether new features come before the old ones.
        doubts: one sentence for each module that only looks like a dense block.
    """

    blocks: dict[str, bool]
    doubts: list[str]


def find_blocks(model: nn.Module) -> Found:
    """Return the outermost dense blocks of a model, this library's own and anybody else's."""
    return _find(model, "", set())


def _find(module: nn.Module, name: str, seen: set[int]) -> Found:
    if id(module) in seen:
        return Found({}, [])
    seen.add(id(module))
    if isinstance(module, ChoosesPath):
        return Found({name: module.prepend}, [])
    answer = recognise(module)
    if isinstance(answer, Recognised):
        return Found({name: answer.prepend}, [])
    found = Found({}, [])
    for own, child in module.named_children():
        inner = _find(child, f"{name}.{own}" if name else own, seen)
        found.blocks.update(inner.blocks)
        found.doubts.extend(inner.doubts)
    if answer is not None and not found.blocks:
        # What is inside it is doubtful for the same reason.
        return Found({}, [f"{name or 'the model'} looks like a dense block, but {answer}."])
    return found


def recognise(module: nn.Module) -> Recognised | str | None:
    """Return what kind of dense block it is; why it is none although it looks like one; or None."""
    layers = read_layers(module)
    if layers is None or not _grows(layers):
        return None
    width = layers[0].norms[0].num_features
    dims = CONVOLUTIONS.index(type(layers[0].convolutions[0])) + 1
    try:
        check_layers(layers, width, dims)
    except Refused as refused:
        return str(refused)
    devices = {parameter.device for parameter in module.parameters()}
    if len(devices) != 1 or any(device.type == "meta" for device in devices):
        return "its parameters are not on one device with values"
    with torch.random.fork_rng(devices=[]), torch.inference_mode(False), torch.no_grad():
        return _by_trial(module, width, dims, devices.pop())


def _grows(layers: tuple[Layer, ...]) -> bool:
    width = layers[0].norms[0].num_features
    for layer in layers:
        if layer.norms[0].num_features != width:
            return False
        width += layer.convolutions[-1].out_channels
    return True


def _by_trial(module: nn.Module, width: int, dims: int, device: torch.device) -> Recognised | str:
    trial = _prepared(module)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, width, *[_SIZE] * dims, dtype=torch.float64, generator=generator).to(device)
    answers = []
    for training in (False, True):
        layers = read_layers(trial)
        assert layers is not None
        if training and any(layer.dropout > 0 for layer in layers):
            continue  # its random numbers cannot be foretold
        trial.train(training)
        before = _attributes(trial)
        try:
            out = trial(x)
        except Exception as error:  # somebody else's forward may raise anything
            return f"its forward does not run on one tensor: {type(error).__name__}: {error}"
        if changed := _changed(before, _attributes(trial)):
            return f"its forward keeps something for others to read, in {changed}"
        answers.append([_same(out, _dense(layers, x, prepend)) for prepend in (False, True)])
    for prepend in (False, True):
        if all(answer[prepend] for answer in answers):
            return Recognised(prepend)
    return "it computes something else than dense connectivity of norm, ReLU and convolution"


def _attributes(module: nn.Module) -> dict[str, tuple[object, int]]:
    """Return the attributes of a module and of all inside it, and how much each one holds."""
    return {
        f"{name}.{key}".lstrip("."): (value, len(value) if isinstance(value, (list, dict)) else 0)
        for name, part in module.named_modules()
        for key, value in vars(part).items()
        if key not in ("training", "_parameters", "_buffers", "_modules")
    }


def _changed(before: dict[str, tuple[object, int]], after: dict[str, tuple[object, int]]) -> str:
    """Return the first attribute that is new, another one, or holds more now; or nothing."""
    for name, (value, size) in after.items():
        old, held = before.get(name, (None, -1))
        if old is not value or held != size:
            return name
    return ""


def _prepared(module: nn.Module) -> nn.Module:
    """Return a copy without hooks, whose norms are far from doing nothing."""
    trial = copy.deepcopy(module).double()
    generator = torch.Generator().manual_seed(1)
    for part in trial.modules():
        part._forward_hooks = OrderedDict()
        part._forward_pre_hooks = OrderedDict()
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            for tensor, low in (
                (part.weight, -1.0),
                (part.bias, -1.0),
                (part.running_mean, -1.0),
                (part.running_var, 0.5),
            ):
                if tensor is not None:
                    values = torch.rand(tensor.shape, dtype=tensor.dtype, generator=generator)
                    tensor.copy_(low + 1.5 * values)
    return trial


def _dense(layers: tuple[Layer, ...], x: Tensor, prepend: bool) -> Tensor:
    """Compute the definition, word by word."""
    for layer in layers:
        new = x
        for norm, convolution in zip(layer.norms, layer.convolutions, strict=True):
            new = convolution(F.relu(norm(new)))
        x = torch.cat([new, x] if prepend else [x, new], 1)
    return x


def _same(out: object, expected: Tensor) -> bool:
    return (
        isinstance(out, Tensor)
        and out.shape == expected.shape
        and torch.allclose(out, expected, rtol=1e-8, atol=1e-8)
    )
