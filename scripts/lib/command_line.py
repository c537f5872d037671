"""The command that started this process, as its user would type it again."""

from __future__ import annotations

import shlex
import sys


def command() -> str:
    """``python -m scripts.bench.loader --data ...``, or ``python FILE ...`` if run by its path."""
    main = getattr(sys.modules["__main__"], "__spec__", None)
    program = ["python", sys.argv[0]] if main is None else ["python", "-m", main.name]
    return shlex.join([*program, *sys.argv[1:]])
