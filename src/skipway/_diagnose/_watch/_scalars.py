"""The latest numbers of a watched training under flat names, for loggers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ._history import History, Numbers


def scalars(history: History, order: Sequence[str]) -> dict[str, float]:
    """Return the latest numbers; what is not known is left out."""
    if not history.steps:
        return {}
    found: dict[str, float] = {"learning rate": history.steps[-1].rate}
    if history.loss is not None:
        found["loss"] = history.loss
    if history.several:
        for place, (_, loss) in sorted(history.losses.items())[1:]:
            found[f"loss {place + 1}"] = loss
    share = history.share()
    if share is not None:
        # Not "progress" alone: loggers that keep files would need a file and a folder so named.
        found["total progress"] = share
    now = history.now()
    with np.errstate(divide="ignore", invalid="ignore"):
        tables = {
            "gradient": now.gradient,
            "weight": now.weight,
            "update": now.step / now.weight,
            "lost": now.lost / now.with_gradient,
            "epsilon": now.epsilon / now.with_gradient,
        }
        own = np.where(now.loss > 0, now.loss, math.nan)
        tables["weight elasticity"] = now.gradient * now.weight / own
        tables["progress"] = now.progress / own
    for name, values in tables.items():
        found.update(_named(name, history.names, values))
    found.update(_outputs(history, order))
    return found


def _named(name: str, layers: Sequence[str], values: Numbers) -> dict[str, float]:
    pairs = zip(layers, values.tolist(), strict=True)
    return {f"{name}/{layer}": value for layer, value in pairs if not math.isnan(value)}


def _outputs(history: History, order: Sequence[str]) -> dict[str, float]:
    profile = history.profile(order)
    if profile is None:
        return {}
    elasticity, lost, places, _ = profile
    lost = np.where(np.isfinite(elasticity), lost, math.nan)
    names = [history.names[place] for place in places]
    found = _named("elasticity", names, elasticity) | _named("decades lost", names, lost)
    last = history.last(order)
    if last is not None and last.signal is not None:
        found["signal"] = last.signal
    return found
