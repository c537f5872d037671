"""How many processors this process may use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_QUOTA: Final = Path("/sys/fs/cgroup/cpu.max")


def usable_cpus() -> int:
    """The processors this process may use, at least 1.

    They are fewer than the machine has where an affinity mask (taskset, a batch system) or the CPU
    quota of a container (cgroup version 2) says so; a quota of one and a half processors counts as
    two.
    """
    return max(1, min(len(os.sched_getaffinity(0)), _quota()))


def _quota() -> int:
    unlimited = os.cpu_count() or 1
    try:
        allowed, period = _QUOTA.read_text().split()
        return unlimited if allowed == "max" else -(-int(allowed) // int(period))
    except (OSError, ValueError, ZeroDivisionError):  # no cgroup, or of another version
        return unlimited
