"""The cells of a comparison as files, so that nothing finished is ever run twice.

```
folder/run.json             what every cell depends on, and where the run began
folder/cells/<cell>.json    one finished training: variant, seed, learning rate
folder/cells.csv            all trainings as a table, one a line
folder/comparison.json      the result, once all are finished
folder/.lock                held while a process works here
```
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._errors import RunError, SkipwayError
from .._files import write_text
from .._plain import from_plain, to_plain
from .._results import Run
from ._environment import environment


@dataclass(frozen=True)
class Cell:
    """One training to be done: a variant, a seed, a factor of the learning rate."""

    variant: str
    seed: int
    factor: float

    def file_name(self, configuration: str) -> str:
        """Return its file's name; variants that look alike in a file system stay apart."""
        plain = "".join(c if c.isascii() and c.isalnum() else "-" for c in self.variant)[:40]
        key = f"{self.variant}\n{self.seed}\n{self.factor!r}\n{configuration}"
        digest = hashlib.sha256(key.encode()).hexdigest()[:8]
        return f"{plain}.{self.seed}.{self.factor:.4g}.{digest}.json"


class Cells:
    """The folder of one comparison.

    Args:
        folder: is made where it does not exist.
        settings: what every cell depends on; a folder of other settings is refused.
        claim: whether the folder becomes that of these settings where it is nobody's.

    Raises:
        RunError: the folder belongs to other settings, or its `run.json` is damaged.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str], *, claim: bool = True) -> None:
        self.folder = folder
        self.configuration = configuration(settings)
        self._check(dict(settings))
        if claim and not (folder / "run.json").exists():
            self._claim(dict(settings))

    def _check(self, settings: dict[str, str]) -> None:
        path = self.folder / "run.json"
        if path.exists():
            _check_same(self.folder, _load(path).get("settings", {}), settings)
        elif any((self.folder / "cells").glob("*.json")):
            raise RunError(
                f"{self.folder} holds finished trainings but no run.json that says of what. "
                f"{_way_out(self.folder)}"
            )

    def _claim(self, settings: dict[str, str]) -> None:
        data = {
            "configuration": self.configuration,
            "settings": settings,
            "environment": environment(),
        }
        text = json.dumps(data, indent=1, ensure_ascii=False)
        write_text(self.folder / "run.json", text)

    def noted(self, name: str, make: Callable[[], Any]) -> Any:
        """Return what was noted under this name in `run.json`; made and noted where nothing was."""
        path = self.folder / "run.json"
        data = _load(path) if path.exists() else {}
        if name not in data:
            data[name] = make()
            if path.exists():
                write_text(path, json.dumps(data, indent=1, ensure_ascii=False))
        return data[name]

    def read(self, cell: Cell) -> Run | None:
        """Return the finished run of this cell; `None` where there is none.

        Raises:
            RunError: the file is damaged, or belongs to another cell or configuration.
        """
        path = self._path(cell)
        if not path.exists():
            return None
        data = _load(path)
        try:
            found: Run = from_plain(Run, data["run"])
            same = Cell(found.variant, found.seed, found.learning_rate) == cell
            whole = same and data["configuration"] == self.configuration
        except (KeyError, TypeError, ValueError, RunError) as error:
            raise _damaged(path, f"{type(error).__name__}: {error}") from error
        if not whole or data.get("checksum") != _checksum(data["run"]):
            raise _damaged(path, "its content does not fit its name or its checksum")
        return found

    def runs(self, cells: Iterable[Cell], *, without_failed: bool = False) -> dict[Cell, Run]:
        """Return the finished runs among these cells; `without_failed` leaves out failed ones."""
        found = {cell: self.read(cell) for cell in cells}
        return {
            cell: run
            for cell, run in found.items()
            if run is not None and not (without_failed and run.status == "failed")
        }

    def forget_failed(self, cells: Iterable[Cell]) -> None:
        """Remove the runs that failed, so that they are run again."""
        for cell, run in self.runs(cells).items():
            if run.status == "failed":
                self._path(cell).unlink()

    def write(self, cell: Cell, run: Run) -> None:
        """Keep a finished run.

        Raises:
            RunError: it cannot be written; what was written before stays whole.
        """
        plain = to_plain(run)
        data = {"configuration": self.configuration, "checksum": _checksum(plain), "run": plain}
        try:
            write_text(self._path(cell), json.dumps(data, ensure_ascii=False, allow_nan=False))
        except SkipwayError as error:
            raise RunError(
                f"{error} Finished trainings are kept; make room and run the same command again."
            ) from error

    def _path(self, cell: Cell) -> Path:
        return self.folder / "cells" / cell.file_name(self.configuration)


def configuration(settings: Mapping[str, str]) -> str:
    """Return the hash of the settings, twelve characters.

    Example:
        >>> configuration({"epochs": "10"}) == configuration({"epochs": "11"})
        False
    """
    text = json.dumps(dict(settings), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def forget(folder: Path) -> None:
    """Remove what a comparison keeps in `folder`, so that the next call begins anew.

    Other files in the folder stay. Whoever calls it holds the folder's lock.
    """
    names = ("run.json", "comparison.json", "cells.csv", "result.json", "report.html")
    kept = [folder / name for name in names]
    kept += [*folder.glob("plan-*.json"), *(folder / "cells").glob("*.json")]
    for path in kept:
        path.unlink(missing_ok=True)


def _check_same(folder: Path, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    names = dict.fromkeys((*now, *before))
    changed = [name for name in names if before.get(name) != now.get(name)]
    if not changed:
        return
    what = "; ".join(_change(name, before.get(name), now.get(name)) for name in changed[:4])
    more = f"; and {len(changed) - 4} more" if len(changed) > 4 else ""
    raise RunError(
        f"{folder} belongs to another configuration, and results of both must not be mixed. "
        f"Changed: {what}{more}. {_way_out(folder)}"
    )


def _change(name: str, before: str | None, now: str | None) -> str:
    if before is None:
        return f"{name} is new"
    if now is None:
        return f"{name} is gone"
    return f"{name} was {before[:60]}, is {now[:60]}"


def _way_out(folder: Path) -> str:
    return (
        f"Choose another folder, or delete {folder} (on the command line: --fresh) to begin anew."
    )


def _load(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(path, str(error)) from error
    if not isinstance(data, dict):
        raise _damaged(path, f"it holds a {type(data).__name__}")
    return data


def _damaged(path: Path, why: str) -> RunError:
    return RunError(
        f"{path} is damaged ({why}). Delete this file and run again: only what it held is redone."
    )


def _checksum(plain: Any) -> str:
    text = json.dumps(plain, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
