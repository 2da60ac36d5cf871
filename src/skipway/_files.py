"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from ._errors import SkipwayError


def write_text(path: Path, text: str) -> Path:
    """Write `text` to `path` through a temporary file beside it that is renamed at the end.

    Raises:
        SkipwayError: the folder is missing or cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise SkipwayError(
            f"Cannot write {path}: {error.strerror}. Choose another place."
        ) from error
    try:
        # A file name that is not UTF-8 is text that UTF-8 cannot hold; JSON reads it back so.
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException as error:  # Ctrl-C too leaves no half of a file
        os.unlink(temporary)
        if not isinstance(error, OSError):
            raise
        raise SkipwayError(
            f"Cannot write {path}: {error.strerror}. Choose another place."
        ) from error
    return path


def _umask() -> int:
    # There is no way to read the umask without setting it.
    mask = os.umask(0)
    os.umask(mask)
    return mask
