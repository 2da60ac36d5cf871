"""What the separate process does: import, wait for one answer, examine it, end.

    python -c '...' NAME

NAME is the exercise whose check is imported while it waits. The answer comes as one line of JSON on
stdin: the exercise, the file, where the verdict goes, and for how many seconds it may run.
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import os
import sys
import warnings
from pathlib import Path

import torch

from ._examine import examine

STACK = ".stack"


def main() -> None:
    """Examine one answer; the clock starts when everything is imported.

    After the time is up the process writes where each thread stands beside the result, and ends.
    """
    torch.set_num_threads(1)
    # float(loss) is what every learner writes, and no fault.
    warnings.filterwarnings("ignore", message="Converting a tensor with requires_grad")
    importlib.import_module(f"skipway.learn.course.{sys.argv[1]}.check")
    line = sys.stdin.readline()
    if not line:
        return  # whoever wanted something is gone
    name, file, result, seconds = json.loads(line)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(Path(file).parent)
    stack = open(result + STACK, "w")  # noqa: SIM115  (open until the process ends)
    faulthandler.dump_traceback_later(float(seconds), exit=True, file=stack)
    verdict = examine(name, Path(file))
    faulthandler.cancel_dump_traceback_later()
    Path(result).write_text(json.dumps(verdict.to_dict()), encoding="utf-8")
    # A thread that the answer started must not keep the process alive.
    os._exit(0)
