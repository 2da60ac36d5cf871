"""Every colour of the report can be told from its neighbours, with any colour vision.

Simulated at full severity by the matrices of Machado, Oliveira and Fernandes, "A Physiologically-
based Model for Simulation of Color Vision Deficiency" (2009), in linear light; distances are those
of CIE 1976 L*a*b*, where about 2.3 is just seen.
"""

from __future__ import annotations

import itertools
import re
from importlib import resources

import numpy as np
import pytest

from skipway.report._figure_spine import DYING, FINE, LOST, WATCH
from skipway.report._heat import BANDS

VISION = {
    "all": np.eye(3),
    "protan": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                        [-0.003882, -0.048116, 1.051998]]),
    "deutan": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                        [-0.011820, 0.042940, 0.968881]]),
    "tritan": np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                        [0.004733, 0.691367, 0.303900]]),
}  # fmt: skip
TO_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
                   [0.0193339, 0.1191920, 0.9503041]])  # fmt: skip


def rgb(written: str) -> np.ndarray:
    digits = written.lstrip("#")
    digits = "".join(2 * each for each in digits) if len(digits) == 3 else digits
    return np.array([int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)])


def linear(colour: np.ndarray) -> np.ndarray:
    return np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)


def lab(colour: np.ndarray, vision: str) -> np.ndarray:
    seen = np.clip(VISION[vision] @ linear(colour), 0, 1)
    ratio = TO_XYZ @ seen / (TO_XYZ @ np.ones(3))
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def distance(one: np.ndarray, other: np.ndarray, vision: str) -> float:
    return float(np.linalg.norm(lab(one, vision) - lab(other, vision)))


def contrast(one: np.ndarray, other: np.ndarray) -> float:
    """WCAG 2.1, relative luminance."""
    light = sorted(
        float(np.array([0.2126, 0.7152, 0.0722]) @ linear(each)) for each in (one, other)
    )
    return (light[1] + 0.05) / (light[0] + 0.05)


def palette(scheme: str) -> dict[str, np.ndarray]:
    css = resources.files("skipway.report").joinpath("page.css").read_text(encoding="utf-8")
    blocks = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    block = blocks[("light", "dark").index(scheme)]
    return {name: rgb(code) for name, code in re.findall(r"--(\w+): (#[0-9a-f]{3,6})", block)}


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_states_can_be_told_apart(scheme, vision):
    colours = palette(scheme)
    order = [colours[role] for role in ("fine", "watch", "dying", "lost")]
    for one, other in itertools.pairwise(order):
        assert distance(one, other, vision) > 20
    for one, other in itertools.combinations(order, 2):
        assert distance(one, other, vision) > 15
    for each in order:
        assert contrast(each, colours["paper"]) > 3  # of signs and lines: WCAG 1.4.11


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_neighbouring_bands_of_the_heat_map_can_be_told_apart(scheme, vision):
    colours = palette(scheme)
    shown = [
        opacity * colours[role] + (1 - opacity) * colours["paper"]
        for _, role, opacity, _, _ in BANDS
    ]
    for one, other in itertools.pairwise(shown):
        assert distance(one, other, vision) > 10


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("ground", ["#fff", "#111"])
def test_a_notebook_is_readable_on_both_grounds(ground, vision):
    order = [rgb(each) for each in (FINE, WATCH, DYING, LOST)]
    for one, other in itertools.pairwise(order):
        assert distance(one, other, vision) > 15
    for each in order:
        assert contrast(each, rgb(ground)) > 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_have_contrast(scheme):
    colours = palette(scheme)
    for name in ("ink", "ink2", "ink3"):
        for ground in ("paper", "tint"):
            assert contrast(colours[name], colours[ground]) > 4.5  # WCAG 1.4.3
