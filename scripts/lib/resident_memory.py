"""This process's resident memory, in MiB, from /proc (Linux).

The maximum of ``getrusage`` cannot be used, because a process inherits it from its parent.
"""

from __future__ import annotations

from pathlib import Path

_SELF = Path("/proc/self")


def reset_peak() -> None:
    """Reset the peak to what is resident now."""
    (_SELF / "clear_refs").write_text("5")


def peak() -> float:
    """The peak resident memory since the process began or the peak was reset."""
    return _field("VmHWM")


def current() -> float:
    """The resident memory now."""
    return _field("VmRSS")


def _field(name: str) -> float:
    for line in (_SELF / "status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise OSError(f"/proc/self/status has no {name}")
