"""One thread and one seed, so that a test says the same on every machine."""

from __future__ import annotations

import importlib.util
import os
import random
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from browser import browser, visit  # noqa: F401  # fixtures

# A shell lets its jobs in the background ignore Ctrl-C, and what these start would inherit it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)


@pytest.fixture(autouse=True)
def _environment_stays() -> Iterator[None]:
    """Some frameworks leave variables behind that the processes of later tests would read."""
    before = dict(os.environ)
    yield
    if {**os.environ, "PYTEST_CURRENT_TEST": ""} != {**before, "PYTEST_CURRENT_TEST": ""}:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(autouse=True)
def _compiler_forgets() -> Iterator[None]:
    """torch.compile counts how often the same code was compiled, from test to test."""
    yield
    if "torch._dynamo" in sys.modules:
        torch._dynamo.reset()


def _torchvision_without_operators() -> None:
    """Let torchvision be imported where its compiled operators do not fit this torch.

    They are built for one torch build (CPU or a CUDA version). Its networks need none of them, but
    on import it registers shapes for two, which must exist.
    """
    spec = importlib.util.find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        return
    for compiled in Path(spec.submodule_search_locations[0]).glob("_C*.so"):
        try:
            torch.ops.load_library(str(compiled))
        except OSError:
            for name in ("nms", "qnms"):
                signature = f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
                _STANDINS.define(signature)


_STANDINS = torch.library.Library("torchvision", "FRAGMENT")
_torchvision_without_operators()
