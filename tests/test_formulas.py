"""Formulas of the pages in the terminal: expected values are written by hand, not by the code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from skipway._formulas import formula, readable

PAGES = sorted((Path(__file__).parent.parent / "docs").glob("*.md"))
CODE = re.compile(r"^```.*?^```|`[^`]+`|<!--.*?-->", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    ("latex", "expected"),
    [
        (r"\Delta w = -\eta\, \partial L/\partial w", "Δw = −η ∂L/∂w"),
        (r"h_l = f_l(h_{l-1})", "hₗ = fₗ(hₗ₋₁)"),
        (r"\frac{\lVert h_l \rVert \cdot 2}{|L|}", "(‖hₗ‖ · 2) / |L|"),
        (r"\frac{\langle a, b \rangle}{|L|}", "⟨a, b⟩ / |L|"),
        (r"\frac{\partial H_l}{\partial x_k}", "∂Hₗ/∂xₖ"),
        (r"\lVert\Delta W_l\rVert / \lVert W_l\rVert", "‖ΔWₗ‖ / ‖Wₗ‖"),
        (r"J_{N}^{\top}\, v", "J_Nᵀ v"),
        (r"2^{-25} \ldots 2^{-24}\, |w| ,", "2⁻²⁵ … 2⁻²⁴ |w|,"),
        (r"(1 + \beta)^{N/2}", "(1 + β)^(N/2)"),
        (r"\max_{k \ge l} e_k", "max_(k ≥ l) eₖ"),
        (r"\sqrt{1/3} \approx 1/\sqrt{n}", "√(1/3) ≈ 1/√n"),
        (r"\bar d \;\pm\; t_{n-1,\,0.975}", "d̄ ± t_(n−1, 0.975)"),
        (r"\mathrm{Cov}(a, b) \qquad \text{value } f'(x)", "Cov(a, b)    value f′(x)"),
        (r"[\,I \;\; I\,]", "[I I]"),
        (r"\unheard{x}", r"\unheardx"),
    ],
)
def test_a_formula_reads_as_one_would_write_it(latex: str, expected: str) -> None:
    assert formula(latex) == expected


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_page_shows_a_command_of_latex(page: Path) -> None:
    shown = CODE.sub("", readable(page.read_text("utf-8")))
    assert not re.findall(r"\\[A-Za-z]+|\$", shown)


def test_code_stays_as_it_is() -> None:
    text = "`$a$` and\n\n```console\n$ skipway cure  # costs $5 or $x_1$\n```\n\n$x_1$\n"
    assert readable(text) == text.replace("\n$x_1$\n", "\nx₁\n")


def test_what_a_page_would_take_for_markup_is_none() -> None:
    assert readable(r"Of $\max_W [W]$ and $t_{n,m}$.") == r"Of max\_W \[W\] and t\_(n,m)."


def test_the_command_shows_them() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "skipway", "docs", "gradient"], capture_output=True, text=True,
        env={**os.environ, "COLUMNS": "100", "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "∂L/∂hₗ = Jₗ₊₁ᵀ Jₗ₊₂ᵀ ⋯ J_Nᵀ ∂L/∂h_N,    Jₖ = ∂hₖ/∂hₖ₋₁." in done.stdout
