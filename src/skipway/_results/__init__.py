"""What the verbs return: frozen dataclasses of plain numbers and words.

```
diagnose ─► Diagnosis ── layers: LayerReading, findings: Finding, skips: SkipConnection
            └─ what_if ─► WhatIf ── the layers before and after
skips    ─► Skips ────── skips: SkipConnection
rewire   ─► Rewiring  ── plan: Plan ── skips: PlannedSkip
compare  ─► Comparison ─ variants: Variant ── runs: Run
cure     ─► Cure      ── a Diagnosis before and after, Rewirings, a Comparison
```
Every one prints itself, shows itself in a notebook, turns into plain data and back, and saves
itself as `.json` or as a page, `.html`. Words in results may carry `backticks` around names of
code; numbers in them are already written for a reader.
"""

from __future__ import annotations

from ._comparison import Answer, Comparison, Evidence, Interval, Run, Variant
from ._cure import Cure
from ._diagnosis import (
    CAUSES,
    Cause,
    Diagnosis,
    Finding,
    Treatment,
)
from ._layer import Kind, LayerReading, SkipConnection, State
from ._outlook import Outlook
from ._read import RESULTS, read
from ._result import Result
from ._rewiring import Plan, PlannedSkip, Rewiring, Undo
from ._skips import Skips
from ._watching import Event, Watching
from ._what_if import WhatIf

__all__ = [
    "CAUSES",
    "RESULTS",
    "Answer",
    "Cause",
    "Comparison",
    "Cure",
    "Diagnosis",
    "Event",
    "Evidence",
    "Finding",
    "Interval",
    "Kind",
    "LayerReading",
    "Outlook",
    "Plan",
    "PlannedSkip",
    "Result",
    "Rewiring",
    "Run",
    "SkipConnection",
    "Skips",
    "State",
    "Treatment",
    "Undo",
    "Variant",
    "Watching",
    "WhatIf",
    "read",
]
