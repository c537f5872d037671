"""The one core of OpenVINO's that a process has."""

from __future__ import annotations

from functools import cache
from typing import Any

from mfr.runtimes.extras import imported


def openvino_core(*, instead: str | None = None) -> Any:
    """OpenVINO's core, which is never thrown away.

    OpenVINO's CPU plugin (seen in 2026.4) gives the thread that makes it an alternate stack for
    signals, and frees it with the last core and compiled model. Where another thread threw these
    away, the first one keeps the freed stack: the next signal, say Ctrl-C, ends the process with a
    segmentation fault.

    Args:
        instead: what else a user can do where OpenVINO is missing, see `imported`.

    Raises:
        ConfigError: OpenVINO is not installed.
    """
    imported("openvino", instead=instead)
    return _core()


@cache
def _core() -> Any:
    return imported("openvino").Core()
