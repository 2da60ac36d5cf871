"""Everything a cell depends on, as words: what a folder of finished cells is checked against."""

from __future__ import annotations

import functools
import hashlib
import inspect
import re
import sys
from collections.abc import Mapping
from types import CodeType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

import skipway

from .._case import Case, Data, size
from .._several_optimizers import class_names

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def settings_of(
    cases: Mapping[str, Case], models: Mapping[str, nn.Module], rates: tuple[float, ...]
) -> dict[str, str]:
    """Return what the cells of these variants depend on.

    Seeds are no part of it: a folder can be given more of them. Of a Dataset only its kind and
    its length are known here.
    """
    first = next(iter(cases.values()))
    settings = {
        "epochs": str(first.epochs),
        "batch size": str(first.batch_size),
        "learning rate factors": ", ".join(f"{rate:.6g}" for rate in rates),
        "skipway": skipway.__version__,
        "torch": torch.__version__,
        "Python": f"{sys.version_info.major}.{sys.version_info.minor}",
    }
    for name, case in cases.items():
        settings[f"{name}: model"] = _model(models[name])
        settings[f"{name}: optimizer"] = _optimizer(case, models[name])
        settings[f"{name}: loss"] = _callable(case.loss or case.objective)
        settings[f"{name}: metric"] = _callable(case.metric)
        if case.training is not None:
            settings[f"{name}: training"] = _callable(case.training)
        settings[f"{name}: data"] = f"{_data(case.train)}, {_data(case.test)}"
    return settings


def _model(model: nn.Module) -> str:
    digest = hashlib.sha256(_ADDRESS.sub("", repr(model)).encode())
    for key, tensor in model.state_dict().items():
        if isinstance(tensor, Tensor):
            words = f"{key} {tuple(tensor.shape)} {tensor.dtype} {_size_of(tensor)}"
            digest.update(words.encode())
    for module in model.modules():
        digest.update(repr(_plain_values(vars(module))).encode())
    for parameter in model.parameters():
        digest.update(str(parameter.requires_grad).encode())
    for kind in dict.fromkeys(type(module) for module in model.modules()):
        if not kind.__module__.startswith("torch."):
            digest.update(_code(getattr(kind.forward, "__code__", None)).encode())
    count = sum(parameter.numel() for parameter in model.parameters())
    return f"{type(model).__name__}, {count} parameters, {digest.hexdigest()[:12]}"


def _size_of(tensor: Tensor) -> str:
    """Tell one initialisation from another, but not one machine's last digits from another's."""
    if tensor.is_meta or not tensor.is_floating_point():
        return ""
    return f"{float(tensor.detach().double().abs().sum()):.4g}"


def _plain_values(names: Mapping[str, Any]) -> dict[str, str]:
    """Return what is a plain value among attributes, variables or defaults, as text."""
    return {name: repr(value) for name, value in sorted(names.items()) if _is_plain(value)}


def _is_plain(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str))


def _optimizer(case: Case, model: nn.Module) -> str:
    optimizer = case.make_optimizer(model.parameters())
    groups = [
        {key: _ADDRESS.sub("", repr(value)) for key, value in group.items() if key != "params"}
        | {"tensors": str(len(group["params"]))}
        for group in optimizer.param_groups
    ]
    digest = hashlib.sha256(repr(groups).encode()).hexdigest()[:12]
    return f"{class_names(optimizer)}, learning rate {groups[0].get('lr')}, {digest}"


def _callable(function: Any) -> str:
    if function is None:
        return "none"
    if isinstance(function, functools.partial):
        words = f"{_callable(function.func)} {function.args!r} {function.keywords!r}"
        return _ADDRESS.sub("", words)
    name = getattr(function, "__qualname__", None)
    if name is None:
        return _ADDRESS.sub("", repr(function))
    words = _function(function, set())
    return f"{name} {hashlib.sha256(words.encode()).hexdigest()[:8]}"


def _function(function: Any, seen: set[int]) -> str:
    """Return the code of a function and the values it reads from outside, its callees' too."""
    code = getattr(function, "__code__", None)
    if code is None or id(code) in seen:
        return str(getattr(function, "__qualname__", ""))
    seen.add(id(code))
    outside = inspect.getclosurevars(function)
    variables = {**outside.globals, **outside.nonlocals}
    defaults = [function.__defaults__, sorted((function.__kwdefaults__ or {}).items())]
    callees = [
        _function(value, seen)
        for _, value in sorted(variables.items())
        if inspect.isfunction(value) and not value.__module__.startswith("torch")
    ]
    return f"{_code(code)} {_plain_values(variables)} {_ADDRESS.sub('', repr(defaults))} {callees}"


def _code(code: CodeType | None) -> str:
    """Return the instructions of a function as text that is the same in every process."""
    if code is None:
        return ""
    constants = [_code(c) if isinstance(c, CodeType) else _constant(c) for c in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {constants}"


def _constant(value: Any) -> str:
    # The order of a set differs from process to process.
    return repr(sorted(map(repr, value))) if isinstance(value, frozenset) else repr(value)


def _data(data: Data) -> str:
    digest = hashlib.sha256()
    if isinstance(data, (tuple, list)):
        _digest(digest, data)
    elif isinstance(data, TensorDataset):
        _digest(digest, data.tensors)
    else:
        digest.update(type(data).__qualname__.encode())
    return f"{size(data)} samples {digest.hexdigest()[:12]}"


def _digest(digest: Any, part: Any) -> None:
    if isinstance(part, Tensor):
        digest.update(f"{tuple(part.shape)} {part.dtype}".encode())
        flat = part.detach().cpu().contiguous().flatten()
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    elif isinstance(part, Mapping):
        for key, value in part.items():
            digest.update(str(key).encode())
            _digest(digest, value)
    elif isinstance(part, (tuple, list)):
        for value in part:
            _digest(digest, value)
    else:
        digest.update(_ADDRESS.sub("", repr(part)).encode())
