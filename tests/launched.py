"""The environment of programs that start processes of their own: none of them outlives the test."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

MORTAL = Path(__file__).parent / "mortal"


def mortal(paths: Sequence[Path | str] = ()) -> dict[str, str]:
    """Return an environment in which every Python process ends with its parent and this process.

    Args:
        paths: where Python looks for modules besides.
    """
    own = os.environ.get("PYTHONPATH", "")
    every = [str(MORTAL), *map(str, paths), *([own] if own else [])]
    # os.kill asks whether a process lives on POSIX alone.
    named = {} if sys.platform == "win32" else {"SKIPWAY_TEST": str(os.getpid())}
    return {**os.environ, "PYTHONPATH": os.pathsep.join(every), **named}
