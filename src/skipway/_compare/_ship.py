"""The job as a file that worker processes read, with lambdas and files of the user in it."""

from __future__ import annotations

import importlib.machinery
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from .._case import Case
from .._errors import CaseError
from ._work import Job

_OURS = f".job-{platform.node()}-"


@contextmanager
def shipped(job: Job, folder: Path) -> Iterator[Path]:
    """Write the job into `folder` for as long as the block runs, and yield its path.

    Raises:
        CaseError: a case cannot be sent to another process.
    """
    prefix = f"{_OURS}{os.getpid()}-"
    handle, name = tempfile.mkstemp(dir=folder, prefix=prefix, suffix=".pickle")
    path = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(_pickled(job))
        yield path
    finally:
        path.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove the job files that killed runs left in `folder`."""
    for left in folder.glob(f"{_OURS}*"):
        if _is_gone(left.name.removeprefix(_OURS).partition("-")[0]):
            left.unlink(missing_ok=True)


def _is_gone(process: str) -> bool:
    if os.name != "posix" or not process.isdigit():
        return False  # elsewhere, signal 0 is not a harmless question
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False


def _pickled(job: Job) -> bytes:
    # cloudpickle carries lambdas and local classes, of which user's cases are full.
    import cloudpickle  # type: ignore[import-untyped]

    carried = _not_importable(job.cases.values())
    for module in carried:
        cloudpickle.register_pickle_by_value(module)
    try:
        data: bytes = cloudpickle.dumps(job)
    except Exception as error:
        raise CaseError(
            f"A case cannot be sent to another process ({type(error).__name__}: {error}). Make "
            "what it holds (an open file, a lock, a generator) inside its functions, or run with "
            "workers=0.",
            page="compare#when-one-machine-is-too-small",
        ) from error
    finally:
        for module in carried:
            cloudpickle.unregister_pickle_by_value(module)
    return data


def _not_importable(cases: Any) -> list[ModuleType]:
    """Return the modules of the cases' functions that another process could not import."""
    names: dict[str, None] = {}
    for case in cases:
        names.update(dict.fromkeys(_modules(case)))
    found = [sys.modules[name] for name in names if name in sys.modules]
    return [module for module in found if _only_here(module.__name__)]


def _modules(case: Case) -> list[str]:
    parts = (case.model, case.loss, case.objective, case.optimizer, case.metric, case.training)
    found: list[str] = []
    for part in (*parts, case.train, case.test, *case.controls.values()):
        # A remedy wraps the user's own functions, which are its fields.
        for _ in range(4):
            found += [getattr(part, "__module__", None) or "", type(part).__module__]
            inner = getattr(part, "model", None) or getattr(part, "optimizer", None)
            if inner is None:
                break
            part = inner
    return list(dict.fromkeys(name for name in found if name))


def _only_here(name: str) -> bool:
    if name == "__main__" or name in sys.builtin_module_names:
        return False
    return importlib.machinery.PathFinder.find_spec(name.partition(".")[0]) is None
