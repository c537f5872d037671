"""The command line: parse, call, print.

Results go to standard output, progress and complaints to standard error. Everything heavy is
imported inside the command that needs it, so that ``mfr --help`` answers at once.

The program itself is `mfr.cli.root`, imported only when it runs: the commands of other packages
use the modules beside it (console, options, process), and the program loads those commands.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; no user's mistake leaves a traceback."""
    from mfr.cli import root
    from mfr.cli.process import run_command

    return run_command(root.app, arguments)


def main() -> None:
    """The console script ``mfr``."""
    from mfr.cli.process import exit_with

    exit_with(run, sys.argv[1:])
