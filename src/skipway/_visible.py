r"""Text from elsewhere (names in a model, a saved result, a path), safe to print on a terminal."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# What moves the cursor, recolours, retitles or rings: C0 and C1 controls but newline and tab. What
# turns the reading direction around, so that a line reads otherwise than it is. Halves of pairs,
# as Python has them for the bytes of a file name that is not UTF-8: no terminal takes those.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    r"""Return the text with its control characters written out.

    Example:
        >>> print(visible("layer\x1b[2J"))
        layer\x1b[2J
    """
    return _UNSAFE.sub(lambda found: ascii(found[0])[1:-1], text)


def visible_in(data: Any) -> Any:
    """Return plain data with every text in it, keys too, made `visible`."""
    if isinstance(data, str):
        return visible(data)
    if isinstance(data, Mapping):
        return {visible_in(key): visible_in(each) for key, each in data.items()}
    if isinstance(data, (list, tuple)):
        return [visible_in(each) for each in data]
    return data
