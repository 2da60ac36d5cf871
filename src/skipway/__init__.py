"""See where the gradient dies, give it another path, prove that it helped."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import cases, learn, models, nn
    from ._case import Case
    from ._compare import Slurm, compare
    from ._cure import cure
    from ._diagnose import Watch, diagnose, watch
    from ._errors import SkipwayError, SkipwayWarning
    from ._results import (
        Comparison,
        Cure,
        Diagnosis,
        Finding,
        Plan,
        PlannedSkip,
        Rewiring,
        SkipConnection,
        Skips,
        Watching,
        WhatIf,
        read,
    )
    from ._rewire import reconnect, rewire, skips

__version__ = "0.1.0"

# The names are imported on first use, so that `skipway --help` does not wait for torch.
_HOMES = {
    "_case": ["Case"],
    "_compare": ["Slurm", "compare"],
    "_cure": ["cure"],
    "_diagnose": ["Watch", "diagnose", "watch"],
    "_errors": ["SkipwayError", "SkipwayWarning"],
    "_results": [
        "Comparison",
        "Cure",
        "Diagnosis",
        "Finding",
        "Plan",
        "PlannedSkip",
        "Rewiring",
        "SkipConnection",
        "Skips",
        "Watching",
        "WhatIf",
        "read",
    ],
    "_rewire": ["reconnect", "rewire", "skips"],
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}
_MODULES = ("cases", "learn", "models", "nn")

__all__ = [
    "Case",
    "Comparison",
    "Cure",
    "Diagnosis",
    "Finding",
    "Plan",
    "PlannedSkip",
    "Rewiring",
    "SkipConnection",
    "Skips",
    "SkipwayError",
    "SkipwayWarning",
    "Slurm",
    "Watch",
    "Watching",
    "WhatIf",
    "cases",
    "compare",
    "cure",
    "diagnose",
    "learn",
    "models",
    "nn",
    "read",
    "reconnect",
    "rewire",
    "skips",
    "watch",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f".{name}", __name__)
    if name in _HOME:
        return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module 'skipway' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
