"""Everything about a model that a caller could notice, as a value to compare."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from torch import nn


def snapshot(model: nn.Module) -> dict[str, Any]:
    """Bytes of parameters, buffers and gradients, flags, hooks, attributes, random states."""
    state: dict[str, Any] = {
        "python": random.getstate(),
        "numpy": np.random.get_state()[1].tobytes(),
        "torch": torch.get_rng_state().numpy().tobytes(),
    }
    for name, module in model.named_modules():
        state[f"{name} training"] = module.training
        state[f"{name} class"] = type(module)
        for key, value in vars(module).items():
            if "hooks" in key:
                state[f"{name}.{key}"] = [(k, id(hook)) for k, hook in (value or {}).items()]
            elif isinstance(value, (int, float, str, bool, type(None))):
                state[f"{name}.{key}"] = value
            elif isinstance(value, list):
                state[f"{name}.{key}"] = list(value)
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        state[name] = (id(tensor), _bytes(tensor), tensor.requires_grad)
        state[f"{name} grad"] = (
            None if tensor.grad is None else (id(tensor.grad), _bytes(tensor.grad))
        )
    return state


def _bytes(tensor: torch.Tensor) -> bytes:
    return tensor.detach().contiguous().view(-1).view(torch.uint8).numpy().tobytes()
