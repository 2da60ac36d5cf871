"""Words of results as HTML: `backticks` become code, 10⁻²⁰ becomes a raised exponent."""

from __future__ import annotations

import json
import re
from typing import Any

from markupsafe import Markup, escape

# Names of code, as results write them.
CODE = re.compile(r"`([^`\n]+)`")
_RAISED = re.compile("[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_PLAIN = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "−0123456789")
# A number is not torn from its sign, its power or its unit at the end of a line.
_TIGHT = re.compile(r"(?<=\d) (?=%|×)|(?<=×) (?=10)")


def markup(text: str) -> Markup:
    """Return prose of a result as safe HTML."""
    pieces = CODE.split(str(text))
    made = [
        f"<code>{escape(piece)}</code>" if odd % 2 else _prose(piece)
        for odd, piece in enumerate(pieces)
    ]
    return Markup("".join(made))


def plain(text: str) -> str:
    """Return prose of a result for a place that holds text only."""
    return CODE.sub(r"\1", str(text))


def embedded(value: Any) -> Markup:
    """Return JSON that is safe inside a script element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


def _prose(text: str) -> str:
    tight = _TIGHT.sub("\u00a0", text)
    return _RAISED.sub(
        lambda found: f"<sup>{found.group().translate(_PLAIN)}</sup>", str(escape(tight))
    )
