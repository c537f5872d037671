"""Where a program's time goes: functions are timed, less what other timed ones take within them."""

from __future__ import annotations

import functools
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch


class Timed(NamedTuple):
    """A function to time: ``owner``'s attribute ``name``; ``stage`` names it, by its arguments."""

    owner: Any
    name: str
    stage: Callable[..., str]


class StageTimes:
    """Seconds of processor time and calls of each stage, called from one thread."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.calls: Counter[str] = Counter()
        self._within: list[float] = []

    @contextmanager
    def timing(self, *functions: Timed) -> Iterator[None]:
        """Time ``functions`` while the context lasts."""
        with ExitStack() as stack:
            for owner, name, stage in functions:
                timed = self._timed(getattr(owner, name), stage)
                stack.enter_context(patch.object(owner, name, timed))
            yield

    def _timed(self, function: Callable[..., Any], stage: Callable[..., str]) -> Any:
        @functools.wraps(function)
        def timed(*args: Any, **options: Any) -> Any:
            begin = time.process_time()
            self._within.append(0.0)
            try:
                return function(*args, **options)
            finally:
                took = time.process_time() - begin
                name = stage(*args, **options)
                self.seconds[name] += took - self._within.pop()
                self.calls[name] += 1
                if self._within:
                    self._within[-1] += took

        return timed
