"""The command `skipway`, and `python -m skipway`."""

from __future__ import annotations

import sys


def run() -> None:
    """Start the command line; Ctrl-C while it is still being imported ends it quietly too."""
    try:
        from .cli import main

        main(prog_name="skipway")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    run()
