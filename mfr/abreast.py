"""Several batches at once, each in a thread of its own, with one thread of torch's for each.

PyTorch is not imported here: where nobody did, nothing computes with it.
"""

from __future__ import annotations

import itertools
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Final, TypeVar

from mfr.cpus import usable_cpus

T = TypeVar("T")
R = TypeVar("R")

_MOST_AT_ONCE: Final = 8
"""The most batches at once, on any number of cores: each takes about 100 MB of memory."""


def batches_at_once(device: object) -> int:
    """The number of batches to compute at once: on a CPU, one for each thread that torch uses.

    Args:
        device: where it is computed; its text begins with 'cpu' for a CPU.
    """
    if not str(device).startswith("cpu"):
        return 1
    torch = sys.modules.get("torch")
    return min(usable_cpus() if torch is None else torch.get_num_threads(), _MOST_AT_ONCE)


@contextmanager
def computing_threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """A pool of threads that compute; if there are several, torch uses one thread for each.

    The networks are too small to profit from several threads: two threads with a batch each do up
    to twice the work of two threads on one batch.
    """
    torch = sys.modules.get("torch")
    threads = 0 if torch is None else torch.get_num_threads()
    alone = None if torch is None or count == 1 else partial(torch.set_num_threads, 1)
    with ThreadPoolExecutor(count, thread_name_prefix="compute", initializer=alone) as pool:
        try:
            yield pool
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            if torch is not None:
                torch.set_num_threads(threads)  # new threads take the value that was set last


def in_order(work: Callable[[T], R], items: Iterable[T], count: int) -> Generator[R, None, None]:
    """What ``work`` makes of each item, in their order, while it is at work on the next ones.

    Args:
        work: is called in a thread of its own, for up to ``count`` items at once.
        items: taken when they are needed: at most ``count`` + 1 beyond the one that is given.
        count: how many threads there are.
    """
    source = iter(items)
    waiting: deque[Future[R]] = deque()
    with computing_threads(count) as pool:
        while True:
            # One item always waits, so that no thread has to wait for the caller.
            for item in itertools.islice(source, count + 1 - len(waiting)):
                waiting.append(pool.submit(work, item))
            if not waiting:
                return
            yield waiting.popleft().result()
