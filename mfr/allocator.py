"""Keep freed memory for the next batch instead of returning it to the operating system."""

from __future__ import annotations

import ctypes
from typing import Final

# From glibc's malloc.h.
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_MAX: Final = -4


def keep_freed_memory() -> None:
    """Make this process reuse the memory of freed tensors, however large.

    By default glibc maps every allocation over 32 MiB anew and unmaps it when freed, so each
    large activation is zeroed by the kernel page by page: up to half the time of a CPU step goes
    there (docs/results/allocator.md). The price is that memory once taken is kept until the
    process ends. This changes the whole process, so programs call it and the library does not.
    With a C library other than glibc nothing happens.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, -1)
