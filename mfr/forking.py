"""Processes that are forked from one that computes: they compute too, in one thread.

The threads with which PyTorch, OpenCV and FAISS compute do not live on in a forked process, and it
would wait for them for ever.
"""

from __future__ import annotations

import os
import sys
from functools import cache


@cache
def compute_after_forks() -> None:
    """From now on, let processes forked from this one compute in one thread each."""
    os.register_at_fork(after_in_child=_compute_in_one_thread)


def _compute_in_one_thread() -> None:
    # Only what this process has loaded can have threads in it.
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(1)
    if (cv2 := sys.modules.get("cv2")) is not None:
        cv2.setNumThreads(0)
    if (faiss := sys.modules.get("faiss")) is not None:
        faiss.omp_set_num_threads(1)
