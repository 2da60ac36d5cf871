r"""Formulas of the pages for a terminal: LaTeX in, one line of Unicode out.

Only what the pages use is known, and a test holds them to it; what is not stays as it is written.
What has no raised or lowered character keeps its `^` or `_`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_PIECES = re.compile(
    r"(?P<code>^```.*?^```|`[^`]+`)"
    r"|\$\$(?P<block>.+?)\$\$"
    r"|(?<![\\$])\$(?P<inline>(?!\s)[^$]+?(?<!\s))\$(?!\$)",
    re.MULTILINE | re.DOTALL,
)
_MARKUP = re.compile(r"([\\`*_\[\]<>|])")
_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|\s+|.", re.DOTALL)
_BRACKETS = re.compile(r"\([^()]*\)|⟨[^⟩]*⟩|‖[^‖]*‖|\|[^|]*\|")

# A prefix takes the space behind it away, a closing bracket the one before it; see `_tidy`.
_BEHIND, _BEFORE, _WIDE = "\a", "\b", "\t"
_PREFIXES = {"partial": "∂", "Delta": "Δ", "lVert": "‖", "lvert": "|", "langle": "⟨"}
_CLOSING = {"rVert": "‖", "rvert": "|", "rangle": "⟩"}
_OPERATORS = {"cdot": "·", "pm": "±", "approx": "≈", "ge": "≥", "ldots": "…", "cdots": "⋯"}
_WORDS = {
    "alpha": "α",
    "beta": "β",
    "delta": "δ",
    "epsilon": "ε",
    "eta": "η",
    "mu": "μ",
    "rho": "ρ",
    "sum": "∑",
    "prod": "∏",
    "top": "⊤",
    "log": "log",
    "max": "max",
    **dict.fromkeys(("left", "right", "bigl", "bigr", "!", "mathrm", "text"), ""),
    **dict.fromkeys((",", ";", " "), " "),
    **dict.fromkeys(("quad", "qquad"), _WIDE),
    **{name: sign + _BEHIND for name, sign in _PREFIXES.items()},
    **{name: _BEFORE + sign for name, sign in _CLOSING.items()},
    **{name: f" {sign} " for name, sign in _OPERATORS.items()},
}
_LETTERS = {"-": "−", "'": "′"}
_RAISED = str.maketrans("0123456789+−=lnN⊤", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼ˡⁿᴺᵀ")
_LOWERED = str.maketrans("0123456789+−=aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₌ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ")


def readable(page: str) -> str:
    """Return a page of Markdown with its formulas written in Unicode."""
    return _PIECES.sub(_piece, page)


def formula(latex: str) -> str:
    r"""Return a formula in Unicode.

    Example:
        >>> print(formula(r"\frac{\partial L}{\partial h_{l-1}} = 10^{-8}"))
        ∂L/∂hₗ₋₁ = 10⁻⁸
    """
    return _tidy(_read(iter(_TOKEN.findall(latex))))


def _piece(found: re.Match[str]) -> str:
    if found["code"]:
        return found[0]
    if found["block"]:
        return f"```text\n{formula(found['block'])}\n```"
    return _MARKUP.sub(r"\\\1", formula(found["inline"]))


def _read(tokens: Iterator[str]) -> str:
    """Read up to the end, or to the brace that closes what was opened."""
    text = ""
    for token in tokens:
        if token == "}":
            break
        text += _one(token, tokens)
    return text


def _one(token: str, tokens: Iterator[str]) -> str:
    if token == "{":
        return _read(tokens)
    if token in ("^", "_"):
        return _script(token, _tidy(_argument(tokens)))
    if token in ("\\frac", "\\tfrac"):
        return _fraction(_tidy(_argument(tokens)), _tidy(_argument(tokens)))
    if token == "\\sqrt":
        inside = _tidy(_argument(tokens))
        return f"√{inside}" if inside.isalnum() else f"√({inside})"
    if token == "\\bar":
        return _argument(tokens) + "\N{COMBINING MACRON}"
    if token.startswith("\\"):
        return _WORDS.get(token[1:], token)
    return _LETTERS.get(token, token)


def _argument(tokens: Iterator[str]) -> str:
    token = next(tokens)
    return _argument(tokens) if token.isspace() else _one(token, tokens)


def _script(sign: str, text: str) -> str:
    table = _RAISED if sign == "^" else _LOWERED
    if all(ord(each) in table for each in text):
        return text.translate(table)
    return sign + text if len(text) == 1 else f"{sign}({text})"


def _fraction(above: str, below: str) -> str:
    between = " / " if " " in above + below else "/"
    return between.join(
        f"({each})" if re.search("[ /]", _BRACKETS.sub("", each)) else each
        for each in (above, below)
    )


def _tidy(text: str) -> str:
    text = re.sub(rf"{_BEHIND}\s*|[ \n]*{_BEFORE}", "", text)
    text = re.sub(rf"[ \n]*{_WIDE}[ \n]*", _WIDE, text)
    text = re.sub(r"[ \n]+", " ", text)
    text = re.sub(r" (?=[,.)\]])|(?<=[(\[]) ", "", text)
    return text.strip().replace(_WIDE, "    ")
