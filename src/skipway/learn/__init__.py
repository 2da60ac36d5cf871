"""The course: write the skip connection yourself, and be told why an attempt is wrong.

`skipway learn` is its command line; `check` does the same inside a notebook.
"""

from __future__ import annotations

from ._in_notebook import check

__all__ = ["check"]
