"""The one core of OpenVINO's that a process has."""

from __future__ import annotations

import os
from functools import cache
from threading import Lock
from typing import Any

from mfr.extras import imported


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
    with _making:
        return _core()


@cache
def _core() -> Any:
    openvino = imported("openvino")
    # Where two threads are the first to ask for this, each waits for the other for ever: one holds
    # the interpreter's lock and wants that of a variable of OpenVINO's, the other has it the other
    # way round.
    openvino.Type.f32.to_dtype()
    return openvino.Core()


_making = Lock()


def _renew_lock() -> None:
    global _making
    _making = Lock()  # in a forked process, which may find it held by a thread that it lacks


os.register_at_fork(after_in_child=_renew_lock)
