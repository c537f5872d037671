"""Run a command and keep its output as a page of docs/results, with the machine it ran on.

python -m scripts.lib.record docs/results/loader.md -- python -m scripts.bench.loader ...
"""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Final

from mfr import atomic
from mfr.runtimes.choice import processor

NAMED: Final = ("DATASET", "WEIGHTS", "PAIRS", "PHOTOS", "OUT", "LFW", "PEER", "ADDRESS", "SERVER")
"""Variables of the environment whose values are shown by their names."""


def main() -> None:
    """Run, print, keep."""
    if len(sys.argv) < 4 or sys.argv[2] != "--":
        sys.exit("usage: python -m scripts.lib.record PAGE.md -- COMMAND ...")
    page, command = Path(sys.argv[1]), sys.argv[3:]
    environment = {**os.environ, "COLUMNS": "100", "PYTHONUNBUFFERED": "1"}
    # 'python' in the command is the interpreter that runs this, also outside its environment.
    program = sys.executable if command[0] == "python" else command[0]
    run = subprocess.run(
        [program, *command[1:]], stdout=subprocess.PIPE, text=True, env=environment
    )
    print(run.stdout)
    if run.returncode:
        sys.exit(run.returncode)
    # Paths of this machine mean nothing to a reader: data is named as in README.
    shown = " ".join(command)
    text = run.stdout
    for variable in NAMED:
        if place := os.environ.get(variable):
            shown, text = shown.replace(place, variable), text.replace(place, variable)
    head = (
        f"# {page.stem}\n\n"
        f"- command: `{shown}`\n"
        f"- date: {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d}\n"
        f"- machine: {processor()}, {os.cpu_count()} cores, Linux, Python "
        f"{platform.python_version()}\n\n"
    )
    fenced = text if text.lstrip().startswith(("|", "#")) or "\n|" in text else f"```\n{text}```\n"
    atomic.write_text(page, head + fenced)


if __name__ == "__main__":
    main()
