"""Units of drawing work, done by worker processes that use one thread each."""

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
    """Yield what ``do`` returns for each unit, in the order of the units.

    With one process, or one unit, the work is done in the calling process.

    Args:
        do: a function at the top level of a module, which each worker imports once.
        units: the units of work.
        processes: the largest number of worker processes.
        what: what is drawn, in the plural, for the error message.

    Raises:
        DataError: a worker process was ended from outside.
    """
    if processes == 1 or len(units) < 2:
        with threadpool_limits(1):
            for unit in units:
                yield do(unit)
        return
    waiting: deque[Future[int]] = deque()
    # Workers are forked from a server that has imported all of this once, not from this process,
    # whose threads would not survive a fork.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([do.__module__])
    pool = ProcessPoolExecutor(min(processes, len(units)), context, initializer=_start_worker)
    try:
        for unit in units:
            waiting.append(pool.submit(do, unit))
            if len(waiting) >= 3 * processes:  # 100 000 people make many units
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise DataError(
            f"A process that drew {what} was ended from outside, as the system does when memory "
            "runs out: run the same command again, and with fewer --processes if it happens again."
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start_worker() -> None:
    """Make a worker use one thread, leave Ctrl-C to its parent and end when its parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(0)
    # In matrix products with three columns a second thread only spins, and doubles the processor
    # time.
    threadpool_limits(1)
    keep_freed_memory()
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
