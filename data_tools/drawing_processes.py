"""Units of drawing done by processes, each on one thread."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

import cv2
from threadpoolctl import threadpool_limits

from mfr.allocator import keep_freed_memory
from mfr.errors import DataError

Unit = TypeVar("Unit")


def done_by_processes(
    do: Callable[[Unit], int], units: Sequence[Unit], processes: int, *, what: str
) -> Iterator[int]:
    """What ``do`` returns of each unit, in order; with one process, or one unit, done in this one.

    Args:
        do: a function of a module's top level, which processes import once.
        units: of work.
        processes: at most how many.
        what: is drawn, for the sentence of the error.

    Raises:
        DataError: a process was ended from outside.
    """
    if processes == 1 or len(units) < 2:
        with threadpool_limits(1):
            for unit in units:
                yield do(unit)
        return
    waiting: deque[Future[int]] = deque()
    # Workers are forked from a server that has imported all this once, not from this process,
    # whose threads would not survive it.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([do.__module__])
    pool = ProcessPoolExecutor(min(processes, len(units)), context, initializer=_start_worker)
    try:
        for unit in units:
            waiting.append(pool.submit(do, unit))
            if len(waiting) >= 3 * processes:  # a hundred thousand people are many units
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise DataError(
            f"A process that drew {what} was ended from outside, perhaps for want of memory: run "
            "the same command again, with fewer --processes."
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start_worker() -> None:
    """A worker uses one thread, leaves Ctrl-C to its parent, and does not outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(0)
    # A second thread for products of three columns only spins: it doubles the processor time.
    threadpool_limits(1)
    keep_freed_memory()
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
