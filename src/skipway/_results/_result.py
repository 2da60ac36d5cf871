"""What every result can do: print itself, show itself, turn into data and back, be saved."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from .. import report
from .._errors import RunError, SkipwayError
from .._files import write_text
from .._plain import from_plain, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

R = TypeVar("R", bound="Result")

# Of saved results. It grows when a file can no longer be read by the version before.
FORMAT = 1


class Result:
    """What every result can do."""

    kind_of_result: ClassVar[str]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data that JSON can hold."""
        return {"result": self.kind_of_result, **to_plain(self)}

    @classmethod
    def from_dict(cls: type[R], data: dict[str, Any]) -> R:
        """Rebuild the result that `to_dict` turned into data.

        Raises:
            RunError: the data is of another result or another version, or is damaged.
        """
        data = dict(data)
        _check_format(data.pop("format", FORMAT))
        found = data.pop("result", cls.kind_of_result)
        if found != cls.kind_of_result:
            raise RunError(f"The data holds a {found}, not a {cls.kind_of_result}.")
        try:
            result: R = from_plain(cls, data)
        except (AttributeError, TypeError, ValueError) as error:
            raise RunError(f"The data is no whole {cls.kind_of_result}: {error}.") from error
        return result

    def save(self, path: str | Path) -> Path:
        """Write the result as a self-contained page (`.html`) or as data (`.json`).

        Returns:
            The path written. The file appears whole or not at all.

        Raises:
            SkipwayError: the name ends in neither, or the place cannot be written.
        """
        path = Path(path).expanduser()
        if path.suffix.lower() == ".json":
            data = {"format": FORMAT, **self.to_dict()}
            text = json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False)
        elif path.suffix.lower() in (".html", ".htm"):
            text = report.page(self.to_dict())
        else:
            raise SkipwayError(f"{path.name!r} ends in neither .html nor .json; name one of them.")
        return write_text(path, text)

    def __str__(self) -> str:
        # What print writes: it would raise where standard output lacks one of the characters.
        return report.text(self.to_dict(), encoding=getattr(sys.stdout, "encoding", None))

    def _repr_html_(self) -> str:
        return report.figure(self.to_dict())


class Drawn(Result):
    """A result that has something to draw."""

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Draw the result with matplotlib, the extra `plot`.

        Args:
            ax: where to draw; by default the axes of a new figure of pyplot.

        Returns:
            The axes, to go on with; `.figure` is what TensorBoard, Weights & Biases and MLflow
            take.

        Raises:
            SkipwayError: matplotlib is not installed.

        Example:
            >>> from skipway import skips
            >>> from skipway.models import cifar_resnet
            >>> import torch
            >>> found = skips(cifar_resnet(8), torch.zeros(2, 3, 32, 32))
            >>> ax = found.plot()
            >>> ax.get_title(loc="left")
            '3 skip connections in ResNet.'
        """
        return report.plot(self.to_dict(), ax)


def _check_format(found: Any) -> None:
    if not isinstance(found, int) or not 1 <= found <= FORMAT:
        raise RunError(
            f"The data is of format {found}, and this version of skipway reads up to {FORMAT}: a "
            "later one wrote it. Read it with that one: pip install --upgrade skipway."
        )
