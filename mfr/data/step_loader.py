"""The data of coming steps of training, prepared by background processes."""

from __future__ import annotations

import copyreg
import ctypes
import io
import multiprocessing
import os
import pickle
import signal
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Any, Final, Generic, TypeVar

import torch
from torch import Tensor

from mfr.errors import DataError

T = TypeVar("T")
# From Linux's sys/prctl.h.
_PR_SET_PDEATHSIG: Final = 1
_AHEAD: Final = 2  # steps that each process has in hand or ready


class StepLoader(Generic[T]):
    """Prepares the data of coming steps in background processes, in order.

    The data is a function of the step's number alone, so what a step sees depends neither on the
    number of processes nor on where training was resumed.

    These are the processes of `concurrent.futures`: torch's DataLoader raises the death of one of
    its own wherever the trainer happens to be, or waits for it for ever.

    Args:
        prepare: step -> the data of that step: CPU tensors, nested in anything that can be pickled.
        workers: how many background processes; with 0, the training process prepares each step's
            data when it gets there.
    """

    def __init__(self, prepare: Callable[[int], T], workers: int) -> None:
        self._prepare = prepare
        self._workers = workers

    def steps(self, first: int, last: int) -> Iterator[T]:
        """The data of the steps first, ..., last - 1.

        The background processes start in this call, before the first step is asked for: call it
        before anything starts threads (an exchange between training processes does), since a
        process forked while another thread holds one of Python's locks waits for it for ever.
        They end with the iterator.

        Raises:
            DataError: while iterating; a background process was killed.
            MfrError: while iterating; as ``prepare``.
        """
        numbers = iter(range(first, last))
        if not self._workers:
            return map(self._prepare, numbers)
        pool = ProcessPoolExecutor(
            self._workers, multiprocessing.get_context("fork"), _begin_worker, (self._prepare,)
        )
        ready = deque(
            pool.submit(_prepared, step) for step in islice(numbers, _AHEAD * self._workers)
        )
        return _in_order(pool, ready, numbers)


def _in_order(
    pool: ProcessPoolExecutor, ready: deque[Future[bytes]], numbers: Iterator[int]
) -> Iterator[Any]:
    try:
        while ready:
            data = ready.popleft().result()
            ready.extend(pool.submit(_prepared, step) for step in islice(numbers, 1))
            yield pickle.loads(data)
    except BrokenProcessPool as error:
        raise DataError(
            "A process that prepares images in the background was killed, as happens when memory "
            "runs out: resume the run, or start one with fewer workers."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


_prepare: Callable[[int], Any]
"""In a background process: what it is for. A closure cannot be pickled, but outlives a fork."""


def _begin_worker(prepare: Callable[[int], Any]) -> None:
    # Ctrl-C, and the SIGTERM of torchrun or a scheduler, reach the whole process group, but the
    # trainer alone should respond. So the worker leaves the group, and is killed when the trainer
    # dies; a SIGTERM to the worker is the pool's, whatever the trainer does with its own. It has
    # one thread, because the trainer needs the other cores, and because threads that were started
    # before a fork do not survive it.
    import cv2

    global _prepare
    _prepare = prepare
    os.setpgid(0, 0)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    torch.set_num_threads(1)
    cv2.setNumThreads(0)


def _prepared(step: int) -> bytes:
    data = io.BytesIO()
    _Pickler(data, pickle.HIGHEST_PROTOCOL).dump(_prepare(step))
    return data.getvalue()


def _by_array(tensor: Tensor) -> tuple[Any, ...]:
    return torch.from_numpy, (tensor.numpy(),)


class _Pickler(pickle.Pickler):
    """Tensors as arrays, whose bytes are copied once; torch's own way writes an archive of each."""

    dispatch_table = copyreg.dispatch_table.copy() | {Tensor: _by_array}
