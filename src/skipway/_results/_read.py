"""Reading any result back from its file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .._errors import RunError
from ._comparison import Comparison
from ._cure import Cure
from ._diagnosis import Diagnosis
from ._result import Result
from ._rewiring import Plan, Rewiring
from ._skips import Skips
from ._what_if import WhatIf

RESULTS: Sequence[type[Result]] = (Diagnosis, Skips, Plan, Rewiring, Comparison, Cure, WhatIf)


def read(path: str | Path) -> Diagnosis | Skips | Plan | Rewiring | Comparison | Cure | WhatIf:
    """Read any result that was saved as `.json`.

    Raises:
        RunError: the file is missing, is no JSON or holds no result.
    """
    try:
        data = json.loads(Path(path).expanduser().read_text(encoding="utf-8"))
        kinds = {kind.kind_of_result: kind for kind in RESULTS}
        kind = kinds[data["result"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} holds no saved result of skipway ({error}).") from error
    result: Any = kind.from_dict(data)
    return result  # type: ignore[no-any-return]  # one of RESULTS, as annotated
