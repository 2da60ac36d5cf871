"""`load_weights`: read a file of weights into a network, safely and strictly."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .._errors import WeightsError

# Until 2017 the parts of a dense layer were called norm.1, conv.1, norm.2 and conv.2.
_OLD_DENSE = re.compile(r"^(.*denselayer\d+\.(?:norm|conv))\.([12]\.\w+)$")
# What a wrapper around the model adds in front of every name.
_PREFIX = "module."
# Files from before PyTorch 0.4.1 lack it; batch norm does without.
_OPTIONAL = "num_batches_tracked"


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Read a file of weights into `model`; every name and shape must fit.

    The file is one of `torch.save(model.state_dict(), path)` or of safetensors (by its ending,
    `.safetensors`). A `torch.save` file is read with `weights_only=True`: it can hold tensors and
    plain data, and no code. The names of torchvision's old DenseNet files (`norm.1`, `conv.1`) and
    those of a model saved inside `DataParallel` (`module.` in front) are understood.

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
    path = Path(path)
    wanted = model.state_dict()
    given = _renamed(_read(path), wanted)
    _check(given, wanted, path)
    model.load_state_dict({**wanted, **given})


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise WeightsError(f"There is no file {path}.")
    content: Any = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    tensors = isinstance(content, Mapping) and all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items()
    )
    if not tensors or not content:
        raise WeightsError(
            f"{path} holds no state_dict (names and tensors). Save one with "
            "torch.save(model.state_dict(), path)."
        )
    return dict(content)


def _read_torch(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged or foreign file makes of the reader
        raise WeightsError(
            f"{path} cannot be read as weights: {str(error).splitlines()[0]} Save the model's "
            "state_dict() instead of the model: a file that holds code is not opened."
        ) from error


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
    if all(name.startswith(_PREFIX) for name in given) and not all(
        name.startswith(_PREFIX) for name in wanted
    ):
        given = {name.removeprefix(_PREFIX): value for name, value in given.items()}
    return {
        name if name in wanted else _OLD_DENSE.sub(r"\1\2", name): value
        for name, value in given.items()
    }


def _check(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], path: Path) -> None:
    for name, tensor in wanted.items():
        if name not in given:
            if name.endswith(_OPTIONAL):
                continue
            raise WeightsError(
                f"{path} has no {name}, which the network has as {_shape(tensor)}. It belongs to "
                "another network; build that one."
            )
        if given[name].shape != tensor.shape:
            raise WeightsError(
                f"{name} is {_shape(given[name])} in {path} and {_shape(tensor)} in the network. "
                "Build the network with the sizes of the file, for example num_classes."
            )
    for name, tensor in given.items():
        if name not in wanted:
            raise WeightsError(
                f"{path} holds {name}, {_shape(tensor)}, which the network does not have. It "
                "belongs to another network; build that one."
            )


def _shape(tensor: Tensor) -> str:
    return " × ".join(map(str, tensor.shape)) or "a number"
