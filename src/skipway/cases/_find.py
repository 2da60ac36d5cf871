"""A case in a user's file: import the file, pick the case, explain what goes wrong."""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from .._errors import CaseError

if TYPE_CHECKING:
    from .._case import Case


def close_to(name: str, known: Iterable[str]) -> str:
    """Return `" Did you mean ...?"` with the names close to `name`, or nothing."""
    close = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(close)}?" if close else ""


def case_in_file(path: str, name: str = "") -> Case:
    """Return the case `name` of a Python file, or its `case`, or the only one it holds.

    Raises:
        CaseError: no such file or name, or the file raises while it is imported.
    """
    module = file_module(path)
    found = _cases_of(module)
    if name:
        return _named(found, name, module, path)
    if "case" in found:
        return found["case"]
    if len({id(case) for case in found.values()}) == 1:
        return next(iter(found.values()))
    if not found:
        raise CaseError(
            f"{path} holds no skipway.Case. Put one there, case = skipway.Case(...), or name "
            f"the file that has it.{_almost(module)}"
        )
    listed = ", ".join(f"{path}:{each}" for each in found)
    raise CaseError(f"{path} holds {len(found)} cases. Say which one: {listed}.")


def file_module(path: str) -> ModuleType:
    """Import a user's file.

    Raises:
        CaseError: there is no such file, or it raises while it is imported.
    """
    return _import(_existing(path))


def _named(found: dict[str, Case], name: str, module: ModuleType, path: str) -> Case:
    if name in found:
        return found[name]
    if hasattr(module, name):
        raise CaseError(
            f"{name!r} in {path} is a {type(getattr(module, name)).__name__}, not a "
            "skipway.Case. Give the name of a Case."
        )
    held = f" It holds {', '.join(found)}." if found else " It holds no skipway.Case at all."
    raise CaseError(f"{path} has no {name!r}.{close_to(name, found)}{held}")


def _almost(module: ModuleType) -> str:
    case = getattr(module, "case", None)
    return f" Its `case` is a {type(case).__name__}." if case is not None else ""


def _existing(path: str) -> Path:
    file = Path(path)
    try:
        if file.is_file():
            return file.resolve()
        folder = file.parent
        if not folder.is_dir():
            raise CaseError(f"There is no folder {folder} to find {file.name} in. Check the path.")
        if file.is_dir():
            raise CaseError(f"{path} is a folder. Give a file in it that holds a Case.")
        known = [each.name for each in folder.glob("*.py")]
    except OSError as error:
        raise CaseError(f"{path} cannot be read: {error.strerror}. Check its rights.") from error
    raise CaseError(f"There is no file {path}.{close_to(file.name, known)} Check the path.")


def _import(file: Path) -> ModuleType:
    # The name tells files of the same name in different folders apart.
    digest = hashlib.sha256(os.fsencode(file)).hexdigest()[:8]
    name = f"skipway_case_{file.stem}_{digest}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # As when Python runs a script: modules that lie beside the file can be imported from it.
    sys.path.insert(0, str(file.parent))
    sys.modules[name] = module  # dataclasses and pickle look a module up by its name
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise CaseError(_explain(file, error)) from error
    finally:
        with suppress(ValueError):  # the file may have changed the path itself
            sys.path.remove(str(file.parent))
    _send_by_value(file.parent)
    return module


def _send_by_value(folder: Path) -> None:
    import cloudpickle  # type: ignore[import-untyped]

    # Worker processes cannot import what lies in the user's folder, so its code travels along.
    for module in list(sys.modules.values()):
        place = getattr(module, "__file__", None)
        if place and module.__name__ != "__main__" and Path(place).parent == folder:
            cloudpickle.register_pickle_by_value(module)


def _explain(file: Path, error: Exception | SystemExit) -> str:
    line = error.lineno if isinstance(error, SyntaxError) and error.filename == str(file) else None
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename == str(file):
            line = frame.lineno
    where = f", line {line}" if line else ""
    if isinstance(error, SystemExit):
        return (
            f"{file.name}{where} ends the program while it is imported. Put what is to run only as "
            'a script below `if __name__ == "__main__":`, then try again.'
        )
    return (
        f"{file.name}{where} raised {type(error).__name__} while it was imported: {error}. "
        f"Make `python {file.name}` run without an error, then try again."
    )


def _cases_of(module: ModuleType) -> dict[str, Case]:
    from .._case import Case

    return {name: value for name, value in vars(module).items() if isinstance(value, Case)}
