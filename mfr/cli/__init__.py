"""The command line: parse, call, print.

Results go to standard output, progress and complaints to standard error. Everything heavy is
imported inside the command that needs it, so that ``mfr --help`` answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from mfr.cli.process import exit_with, run_command
from mfr.cli.root import app

__all__ = ["app", "main", "run"]


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; no user's mistake leaves a traceback."""
    return run_command(app, arguments)


def main() -> None:
    """The console script ``mfr``."""
    exit_with(run, sys.argv[1:])
