"""This process's resident memory, in MiB, from /proc (Linux).

``getrusage``'s maximum is inherited from whoever started the process, so it cannot be used.
"""

from __future__ import annotations

from pathlib import Path

_SELF = Path("/proc/self")


def reset_peak() -> None:
    """Start the peak anew from what is resident now."""
    (_SELF / "clear_refs").write_text("5")


def peak() -> float:
    """The most that was resident since the process began or the peak was reset."""
    return _field("VmHWM")


def current() -> float:
    """What is resident now."""
    return _field("VmRSS")


def _field(name: str) -> float:
    for line in (_SELF / "status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise OSError(f"/proc/self/status has no {name}")
