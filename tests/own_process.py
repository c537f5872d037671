"""Programs of the tests that need a process of their own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def told_by(module: str, *arguments: str | Path) -> dict[str, Any]:
    """Run ``module``, and give the JSON in the last line that it prints."""
    run = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=250,
    )
    assert run.returncode == 0, run.stderr
    told: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return told
