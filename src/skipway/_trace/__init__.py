"""The observed trace: what one run of a model did. The only hooks of the library live here."""

from __future__ import annotations

from ._chains import chains
from ._collector import collector_waits
from ._graph import Graph, Node, Unit
from ._observe import observe, record
from ._series import Stage, layers_at, series
from ._sites import Site, observe_sites
from ._skips import Joint, branch_of, read_joints, read_skips
from ._untouched import untouched

__all__ = [
    "Graph",
    "Joint",
    "Node",
    "Site",
    "Stage",
    "Unit",
    "branch_of",
    "chains",
    "collector_waits",
    "layers_at",
    "observe",
    "observe_sites",
    "read_joints",
    "read_skips",
    "record",
    "series",
    "untouched",
]
