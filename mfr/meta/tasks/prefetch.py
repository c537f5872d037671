"""Tasks that are drawn in the background, while the learner learns."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from mfr.meta.tasks.batch import TaskBatch, TaskSource


def prefetched(
    source: TaskSource, steps: Iterable[int], *, shard: int = 0, shards: int = 1, ahead: int = 2
) -> Iterator[TaskBatch]:
    """The batches of ``steps`` in order, drawn by a thread that keeps ``ahead`` of them ready.

    This is a thread rather than a process of `StepLoader`, because drawing a batch takes less time
    than passing it between processes, and runs mostly without Python's global interpreter lock.

    Args:
        source: of the tasks.
        steps: the numbers of the steps.
        shard: this process's number among those that share the tasks.
        shards: how many processes share the tasks.
        ahead: how many batches are held ready beside the one in use.

    Raises:
        MfrError: as raised by the source, when the turn of its step comes. The thread then ends, as
            it does when the iterator is closed or garbage-collected early.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="tasks") as thread:
        coming: deque[Future[TaskBatch]] = deque()
        for step in steps:
            coming.append(thread.submit(source.batch, step, shard, shards))
            if len(coming) > ahead:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
