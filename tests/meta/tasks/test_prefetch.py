import threading

import pytest
import torch

from mfr.errors import DataError
from mfr.meta.tasks.prefetch import prefetched
from mfr.meta.tasks.sinusoid import Sinusoids


def task_threads():
    return [one for one in threading.enumerate() if one.name.startswith("tasks")]


def test_batches_come_in_order_and_are_the_sources_own():
    source = Sinusoids(tasks=4, shots=2, query_shots=3, seed=0)
    steps = [3, 4, 5, 9, 2]
    ready = list(prefetched(source, steps, shard=1, shards=3))
    assert len(ready) == len(steps)
    for batch, step in zip(ready, steps, strict=True):
        for one, other in zip(batch, source.batch(step, 1, 3), strict=True):
            assert torch.equal(one, other)
    assert not task_threads()


class Watched:
    """A source that remembers what was asked of it, by whom, and fails at a step."""

    def __init__(self, fails_at=None):
        self.asked, self.threads, self.fails_at = [], set(), fails_at

    def batch(self, step, shard=0, shards=1):
        self.asked.append(step)
        self.threads.add(threading.current_thread())
        if step == self.fails_at:
            raise DataError("the crop is gone")
        return step


def test_only_a_few_are_drawn_ahead_and_elsewhere():
    source = Watched()
    batches = prefetched(source, iter(range(10**9)), ahead=2)
    assert [next(batches) for _ in range(3)] == [0, 1, 2]
    batches.close()
    assert source.asked[:3] == [0, 1, 2] and len(source.asked) <= 5
    assert threading.current_thread() not in source.threads
    assert not task_threads()


def test_an_error_is_heard_when_its_turn_comes():
    batches = prefetched(Watched(fails_at=2), range(9))
    assert [next(batches), next(batches)] == [0, 1]
    with pytest.raises(DataError, match="the crop is gone"):
        next(batches)
    assert not task_threads()
