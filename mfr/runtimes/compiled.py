"""What is compiled once a process, when it is first asked for, and anew in a forked one."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

from mfr.cpus import usable_cpus

T = TypeVar("T")


class Compiled(Generic[T]):
    """Something that computes with threads, which do not outlive a fork.

    Several threads may share it. In a forked process it has one thread, as what else computes there
    has (`mfr.forking`).

    Args:
        compile: number of threads -> what computes with so many.
    """

    def __init__(self, compile: Callable[[int], T]) -> None:
        self._compile = compile
        self._born = self._process = os.getpid()
        self._lock = Lock()
        self._made: T | None = None

    def __call__(self) -> T:
        """What was compiled in this process."""
        process = os.getpid()
        if process != self._process:  # another thread of the parent may have held the lock
            if self._made is not None:
                # To take it apart would wait for its threads, which are not in this process.
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._made))
            self._lock, self._made, self._process = Lock(), None, process
        with self._lock:
            if self._made is None:
                self._made = self._compile(usable_cpus() if process == self._born else 1)
            return self._made
