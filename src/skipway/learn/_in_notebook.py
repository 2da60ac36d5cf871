"""`check`: the check of an exercise, inside a notebook."""

from __future__ import annotations

import html
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from ._exercise import Exercise, find

if TYPE_CHECKING:
    from ._verdict import Verdict


@dataclass(frozen=True)
class Checked:
    """What came of an answer; a notebook shows it with its picture."""

    exercise: Exercise
    verdict: Verdict

    @property
    def passed(self) -> bool:
        """Whether the answer is right."""
        return self.verdict.passed

    def __repr__(self) -> str:
        title = f"{self.exercise.number} {self.exercise.title}"
        if not self.passed:
            return f"✗ {title}\n\n{self.verdict.message}"
        return f"✓ {title}\n\n{self.exercise.explanation}{self._drawn()}"

    def _drawn(self) -> str:
        from ._draw import draw

        return f"\n{draw(self.verdict.picture).plain}" if self.verdict.picture else ""

    def _repr_markdown_(self) -> str:
        """Return it for a notebook: the picture as PNG, or as text without matplotlib."""
        title = f"{self.exercise.number} {self.exercise.title}"
        if not self.passed:
            return f"**✗ {title}**\n\n{self.verdict.message}"
        return f"**✓ {title}**\n\n{self.exercise.explanation}\n{self._image()}"

    def _image(self) -> str:
        import base64

        from ._png import png

        picture = self.verdict.picture
        if picture is None:
            return ""
        data = png(picture)
        if data is None:
            return f"<pre>{html.escape(self._drawn())}</pre>"
        return f'<img src="data:image/png;base64,{base64.b64encode(data).decode()}" width="640">'


def check(name: str, names: dict[str, Any]) -> Checked:
    """Check an answer that was written in a notebook, in the same process.

    An endless loop is ended as in any notebook: interrupt the kernel. The global random numbers
    are as before afterwards.

    Args:
        name: of the exercise, or its number.
        names: `globals()`, in which the answer's functions and classes are.

    Returns:
        The verdict: why the answer is wrong, or what was learned, and a picture.

    Raises:
        LearnError: there is no such exercise.

    Example:
        >>> def updated(weight, gradient, learning_rate):
        ...     return weight + learning_rate * gradient
        >>> check("update_rule", {"updated": updated}).passed
        False
    """
    import torch

    from ._examine import judge

    exercise = find(name)
    with torch.random.fork_rng(devices=[]):
        return Checked(exercise, judge(exercise.name, SimpleNamespace(**names), names))
