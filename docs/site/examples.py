"""A docstring's `Example:` is a section of examples, as it is for doctest."""

from __future__ import annotations

import re
from typing import Any

import griffe


class Examples(griffe.Extension):
    """Give the section the name under which griffe knows it."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rename it in the docstring of every module, class and function."""
        if obj.docstring:
            obj.docstring.value = re.sub(r"(?m)^Example:$", "Examples:", obj.docstring.value)
