r"""Text for a stream that has not all of its characters: `4.1 x 10^-20` instead of `4.1 × 10⁻²⁰`.

A log file on Windows holds 256 characters, a bare C locale 128, and `print` raises at the first
that is not among them.
"""

from __future__ import annotations

import re

_RAISED = "⁻⁺⁰¹²³⁴⁵⁶⁷⁸⁹"
_EXPONENT = re.compile(f"[{_RAISED}]+(?:·[{_RAISED}]+)?")
_LOWERED = str.maketrans(f"{_RAISED}·", "-+0123456789.")
# One column for one wherever it stands in a table or a picture. Those of one legend stay apart.
_PLAIN = {
    **dict.fromkeys("−–—─━╸╌┈", "-"),
    **dict.fromkeys("│┃", "|"),
    **dict.fromkeys("┐└┘┌├┤┬┴┼╭╮╯╰", "+"),
    "×": "x", "✗": "x", "✓": "v", "●": "*", "◐": "+", "○": "o", "■": "#", "►": ">",
    "█": "#", "▓": "%", "▒": "+", "░": "-", "·": ".", "⋮": ":", "…": ".", "⋯": ".",
    "→": "->", "≥": ">=", "≤": "<=", "≈": "~", "±": "+-", "∞": "inf", "√": "root ", "‖": "||",
    "⟨": "<", "⟩": ">", "∂": "d", "Δ": "d", "∑": "sum", "∏": "product", "⊤": "T", "⚠": "!",
    "“": '"', "”": '"', "‘": "'", "’": "'", "\u00a0": " ", "\u202f": " ",
}  # fmt: skip


def spelled(text: str, encoding: str | None) -> str:
    r"""Return the text in characters that the encoding has.

    Args:
        text: of any characters.
        encoding: of the stream it goes to; of none, the text stays as it is.

    Returns:
        The same text where the encoding has all of it. Otherwise what it lacks is written with
        what it has: signs by their nearest, exponents as `^-20`, and the rest as `\u5c42`.
    """
    if encoding is None or _has(encoding, text):
        return text
    text = _EXPONENT.sub(lambda found: _exponent(found[0], encoding), text)
    return "".join(_character(each, encoding) for each in text)


def _exponent(raised: str, encoding: str) -> str:
    return raised if _has(encoding, raised) else f"^{raised.translate(_LOWERED)}"


def _character(one: str, encoding: str) -> str:
    if one.isascii() or _has(encoding, one):
        return one
    return _PLAIN.get(one) or ascii(one)[1:-1]


def _has(encoding: str, text: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    except LookupError:
        return True  # an encoding of its own, of which nothing is known
    return True
