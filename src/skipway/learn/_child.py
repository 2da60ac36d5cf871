"""What the separate process does: run one answer, write the verdict to a file, end.

python -c '...' NAME FILE RESULT SECONDS
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
from pathlib import Path

import torch

from ._examine import examine

STACK = ".stack"


def main() -> None:
    """Examine the answer; the clock starts when everything is imported.

    After the time is up the process writes where each thread stands beside the result, and ends.
    """
    name, file, result, seconds = sys.argv[1:]
    torch.set_num_threads(1)
    os.chdir(Path(file).parent)
    stack = open(result + STACK, "w")  # noqa: SIM115  (open until the process ends)
    faulthandler.dump_traceback_later(float(seconds), exit=True, file=stack)
    verdict = examine(name, Path(file))
    faulthandler.cancel_dump_traceback_later()
    Path(result).write_text(json.dumps(verdict.to_dict()), encoding="utf-8")
    # A thread that the answer started must not keep the process alive.
    os._exit(0)
