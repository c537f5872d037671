"""Processes forked from one that computes: what they can go on with, and what they cannot.

A forked child has none of its parent's threads. The thread pools of OpenMP, which torch and FAISS
use, do not know that and wait for them for ever; with one thread there is no pool to wait for. CUDA
cannot be used in a forked child at all.
"""

from __future__ import annotations

import os
import sys
from typing import Final, Literal

from mfr.errors import ModelError

_pools: Final[set[str]] = set()


def outlast_forks(library: Literal["torch", "faiss"]) -> None:
    """Let ``library``, with which this process computes, use one thread in children forked from it.

    Children of a process that has not computed yet are left as they are.
    """
    if not _pools:
        os.register_at_fork(after_in_child=_use_one_thread)
    _pools.add(library)


def insist_on_own_process(device: object, process: int) -> None:
    """Refuse to compute on a GPU in a process forked from the one that began to.

    Args:
        device: where it is computed; its text begins with 'cuda' for a GPU.
        process: the number of the process that made what computes.

    Raises:
        ModelError: this is another process, and the device is a GPU.
    """
    if str(device).startswith("cuda") and process != os.getpid():
        raise ModelError(
            "A process that was forked cannot use the GPU of the one it was forked from: start it "
            "afresh (multiprocessing.get_context('spawn')) and load the model there."
        )


def _use_one_thread() -> None:
    # Nothing is imported here: another thread of the parent may have held the lock of imports.
    if "torch" in _pools:
        sys.modules["torch"].set_num_threads(1)
    if "faiss" in _pools:
        sys.modules["faiss"].omp_set_num_threads(1)
    if (cv2 := sys.modules.get("cv2")) is not None:
        cv2.setNumThreads(0)
