"""Where a comparison ran: versions, machine, device, threads, the code's own commit."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path

import torch

import skipway


def environment() -> dict[str, str]:
    """Return what the numbers may depend on besides the cases, in words."""
    return {
        "skipway": skipway.__version__,
        "Python": platform.python_version(),
        "torch": torch.__version__,
        "system": platform.system(),
        "machine": _machine(),
        "device": _device(),
        "threads": "one for each training",
        "git": _commit(),
    }


def _device() -> str:
    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()} is there; a case trains where its model is"
    return "CPU"


def _commit() -> str:
    """Return the commit of the folder one works in, where it is one of git's."""
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return "no commit"
    return f"{head}, with changes" if changed else head


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()


def _machine() -> str:
    for line in _cpu_lines():
        key, _, value = line.partition(":")
        if key.strip() == "model name" and value.strip() not in ("", "unknown"):
            return value.strip()
    return platform.processor() or platform.machine() or "an unknown processor"


def _cpu_lines() -> Sequence[str]:
    # Linux alone has this file; elsewhere the platform module knows better.
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ()
