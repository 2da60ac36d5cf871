"""Ends every Python process of a test with the test: Python imports this by its name at its start.

A launcher that is killed leaves its workers asleep in a collective call, for half an hour by gloo's
defaults, and a killed test leaves the launcher. Here each process looks, once a second, whether its
own parent and the test still live.
"""

from __future__ import annotations

import os
import threading
import time


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def end_with(test: int, pause: float = 1.0) -> None:
    """End this process soon after its parent or the test has ended, whatever it waits for."""
    parent = os.getppid()

    def wait() -> None:
        while os.getppid() == parent and _lives(test):
            time.sleep(pause)
        os._exit(1)

    threading.Thread(target=wait, name="mortal", daemon=True).start()


if "SKIPWAY_TEST" in os.environ:
    end_with(int(os.environ["SKIPWAY_TEST"]))
