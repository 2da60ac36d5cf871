"""`load_weights`: read a file of weights into a network, safely and strictly."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .._errors import WeightsError
from ._given import must_be_module

# Until 2017 the parts of a dense layer were called norm.1, conv.1, norm.2 and conv.2.
_OLD_DENSE = re.compile(r"^(.*denselayer\d+\.(?:norm|conv))\.([12]\.\w+)$")
# What the file is where a download went wrong, by how it begins.
_NO_WEIGHTS = {
    b"<": "a web page",
    b"version https://git-lfs": "a pointer of Git LFS",
}
# In torch's words about a file that holds more than tensors.
_CODE = re.compile(r"GLOBAL ([\w.]+)")
# Files from before PyTorch 0.4.1 lack it; batch norm does without.
_OPTIONAL = "num_batches_tracked"


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Read a file of weights into `model`; every name and shape must fit.

    The file is one of `torch.save(model.state_dict(), path)` or of safetensors (by its ending,
    `.safetensors`). A `torch.save` file is read with `weights_only=True`: it can hold tensors and
    plain data, and no code. Understood are torchvision's old names for DenseNets (`norm.1`,
    `conv.1`), names with something in front of all of them (`module.` of `DataParallel`,
    `_orig_mod.` of `torch.compile`), and a checkpoint with one `state_dict` among other things.

    Args:
        model: any module; it is changed only when the whole file fits.
        path: of the file.

    Raises:
        WeightsError: the file cannot be read or belongs to another network; the message names the
            first difference.

    Example:
        >>> import tempfile
        >>> from skipway import models
        >>> one, two = models.cifar_densenet(10, 4), models.cifar_densenet(10, 4)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     torch.save(one.state_dict(), Path(folder) / "one.pt")
        ...     models.load_weights(two, Path(folder) / "one.pt")
        >>> torch.equal(one.classifier.weight, two.classifier.weight)
        True
    """
    must_be_module("load_weights", model)
    path = Path(path)
    wanted = model.state_dict()
    given = _renamed(_read(path), wanted)
    _check(given, wanted, path)
    model.load_state_dict({**wanted, **given})


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise WeightsError(
            f"{path} is a folder, not a file." if path.is_dir() else f"There is no file {path}."
        )
    content: Any = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    if _is_state_dict(content):
        return dict(content)
    # A checkpoint holds it beside other things, under whatever name.
    entries = content if isinstance(content, Mapping) else {}
    inside = {name: entry for name, entry in entries.items() if _is_state_dict(entry)}
    if len(inside) == 1 or "state_dict" in inside:
        return dict(inside.get("state_dict") or next(iter(inside.values())))
    if inside:
        raise WeightsError(
            f"{path} holds several state_dicts, {', '.join(map(str, inside))}. Save the one that "
            "is meant: torch.save(torch.load(path)[name], other_path).",
            page="models#weights",
        )
    raise WeightsError(
        f"{path} holds no state_dict (names and tensors). Save one with "
        "torch.save(model.state_dict(), path).",
        page="models#weights",
    )


def _is_state_dict(content: Any) -> bool:
    return (
        isinstance(content, Mapping)
        and bool(content)
        and all(
            isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items()
        )
    )


def _read_torch(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged or foreign file makes of the reader
        # Torch's own words advise to open it all the same, which would run what is in it.
        raise WeightsError(f"{path} cannot be read as weights: {_why(path, error)}") from error


def _why(path: Path, error: Exception) -> str:
    if path.stat().st_size == 0:
        return "it is empty."
    start = path.read_bytes()[:64].lstrip().lower()
    for beginning, what in _NO_WEIGHTS.items():
        if start.startswith(beginning):
            return f"it is {what}. Fetch the file itself."
    if code := _CODE.search(str(error)):
        return (
            f"it holds more than tensors ({code[1]}), and a file that may run code is not opened. "
            "Save the model's state_dict() instead of the model."
        )
    return "it is damaged, or no file of torch.save."


def _read_safetensors(path: Path) -> Any:
    try:
        from safetensors.torch import load_file
    except ImportError as error:
        raise WeightsError(
            f"{path} is a safetensors file, and safetensors is not installed. "
            "Install it: pip install safetensors."
        ) from error
    try:
        return load_file(path)
    except Exception as error:  # its own error types differ from version to version
        raise WeightsError(f"{path} is no whole safetensors file: {error}.") from error


def _renamed(given: dict[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors under the names of today."""
    while wrapper := _wrapper(given, wanted):
        given = {name.removeprefix(wrapper): value for name, value in given.items()}
    return {
        name if name in wanted else _OLD_DENSE.sub(r"\1\2", name): value
        for name, value in given.items()
    }


def _wrapper(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    """Return what a wrapper has put in front of every name (`module.`, `_orig_mod.`), or nothing.

    Names that all begin alike although no name of the network begins like that are a wrapper's.
    """
    first, dot, _ = next(iter(given)).partition(".")
    prefix = first + dot
    wrapped = dot and all(name.startswith(prefix) for name in given)
    return prefix if wrapped and not any(name.startswith(prefix) for name in wanted) else ""


def _check(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], path: Path) -> None:
    for name, tensor in wanted.items():
        if name not in given:
            if name.endswith(_OPTIONAL):
                continue
            raise WeightsError(
                f"{path} has no {name}, which the network has as {_shape(tensor)}. It belongs to "
                "another network; build that one.",
                page="models#weights",
            )
        if given[name].shape != tensor.shape:
            raise WeightsError(
                f"{name} is {_shape(given[name])} in {path} and {_shape(tensor)} in the network. "
                "Build the network with the sizes of the file, for example num_classes.",
                page="models#weights",
            )
    for name, tensor in given.items():
        if name not in wanted:
            raise WeightsError(
                f"{path} holds {name}, {_shape(tensor)}, which the network does not have. It "
                "belongs to another network; build that one.",
                page="models#weights",
            )


def _shape(tensor: Tensor) -> str:
    return " × ".join(map(str, tensor.shape)) or "a number"
