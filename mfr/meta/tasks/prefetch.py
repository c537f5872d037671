"""Tasks made ready while the learner learns."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from mfr.meta.tasks.batch import TaskBatch, TaskSource


def prefetched(
    source: TaskSource, steps: Iterable[int], *, shard: int = 0, shards: int = 1, ahead: int = 2
) -> Iterator[TaskBatch]:
    """The batches of ``steps`` in order, drawn by a thread that keeps ``ahead`` of them ready.

    A thread and not a `StepLoader`'s process: a batch takes less time to draw than to hand from
    process to process, and drawing mostly runs outside Python's lock.

    Args:
        source: of the tasks.
        steps: their numbers.
        shard: of the processes that share the tasks, this one's number.
        shards: how many they are.
        ahead: batches held ready beside the one in use.

    Raises:
        MfrError: what the source raises, when its step's turn comes; the thread then ends, as it
            does when the iterator is closed or forgotten early.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="tasks") as thread:
        coming: deque[Future[TaskBatch]] = deque()
        for step in steps:
            coming.append(thread.submit(source.batch, step, shard, shards))
            if len(coming) > ahead:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
